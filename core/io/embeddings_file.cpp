#include "core/io/embeddings_file.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/from_blob.h>

#include "core/error.h"
#include "core/io/hdf5.h"
#include "core/io/quote.h"
#include "core/printable.h"
#include "core/shape.h"

namespace trireme {
namespace {

constexpr const char* kEmbedding = "embedding";
constexpr const char* kId = "id";
constexpr const char* kBlock = "block";  // of a part: [blocks, 2] first row in the whole file, rows
constexpr std::string_view kWholeFormat = "embeddings", kPartFormat = "embeddings_part";
constexpr int64_t kEmbeddingsVersion = 2;  // 1 has no fingerprint and no picture_stamps

constexpr const char *kSkippedRow = "skipped_row", *kSkippedId = "skipped_id", *kSkippedReason = "skipped_reason";

/// Consecutive rows of the whole file.
struct Block {
  int64_t first_row, rows;
};

/// Nothing where there is nothing to tell.
void write_skipped(Hdf5Writer& file, const std::vector<SkippedRow>& skipped) {
  if (skipped.empty()) return;
  const int64_t count = std::ssize(skipped);
  std::vector<int64_t> rows;
  std::vector<std::string> ids, reasons;
  for (const SkippedRow& each : skipped) {
    rows.push_back(each.row);
    ids.push_back(each.id);
    reasons.push_back(printable(each.reason));
  }
  file.create(kSkippedRow, torch::kInt64, {count});
  file.write(kSkippedRow, 0, at::from_blob(rows.data(), {count}, torch::kInt64));
  file.create_strings(kSkippedId, {count});
  file.write_strings(kSkippedId, 0, ids);
  file.create_strings(kSkippedReason, {count});
  file.write_strings(kSkippedReason, 0, reasons);
}

std::vector<SkippedRow> read_skipped(const Hdf5Reader& file) {
  if (!file.has_dataset(kSkippedRow)) return {};
  const std::vector<int64_t> shape = file.shape(kSkippedRow);
  TRIREME_CHECK(
      shape.size() == 1 && file.dtype(kSkippedRow) == torch::kInt64 && file.shape(kSkippedId) == shape &&
          file.shape(kSkippedReason) == shape,
      DataError, "embeddings",
      "{}: /skipped_row must be [S] int64, with /skipped_id and /skipped_reason as long; got {}; embed again.",
      quote_path(file.path()), shape_string(shape));
  const torch::Tensor rows = file.read(kSkippedRow, 0, shape[0]);
  std::vector<std::string> ids = file.read_strings(kSkippedId, 0, shape[0]);
  std::vector<std::string> reasons = file.read_strings(kSkippedReason, 0, shape[0]);
  std::vector<SkippedRow> skipped;
  for (std::size_t i = 0; i < ids.size(); ++i)
    skipped.push_back({rows.const_data_ptr<int64_t>()[i], std::move(ids[i]), std::move(reasons[i])});
  return skipped;
}

void write_info(Hdf5Writer& file, std::string_view format, const EmbeddingsInfo& info) {
  file.set_format({std::string(format), kEmbeddingsVersion, info.config_sha256});
  file.set_attribute("model", info.model);
  file.set_attribute("model_sha256", info.model_sha256);
  file.set_attribute("adapter_sha256", info.adapter_sha256);
  file.set_attribute("rope_mode", info.rope_mode);
  file.set_attribute("normalized", int64_t{info.normalized});
  file.set_attribute("fingerprint", info.fingerprint.json());
  file.set_attribute("picture_stamps", info.picture_stamps);
}

EmbeddingsInfo read_info(const Hdf5Reader& file, const Hdf5Format& format) {
  const int64_t normalized = file.int_attribute("normalized");
  TRIREME_CHECK(normalized == 0 || normalized == 1, DataError, "embeddings",
                "{}: attribute normalized must be 0 or 1; got {}; make the file again.", quote_path(file.path()),
                normalized);
  EmbeddingsInfo info{file.string_attribute("model"),
                      file.string_attribute("model_sha256"),
                      file.string_attribute("adapter_sha256"),
                      file.string_attribute("rope_mode"),
                      format.config_sha256,
                      normalized == 1};
  if (format.version >= 2) {
    info.fingerprint = Fingerprint::from_json(file.string_attribute("fingerprint"), quote_path(file.path()));
    info.picture_stamps = file.string_attribute("picture_stamps");
  }
  return info;
}

/// Sizes and dtype of /embedding and /id, which must fit each other.
struct Contents {
  int64_t rows, dim;
  c10::ScalarType dtype;
};

Contents check_contents(const Hdf5Reader& file) {
  const std::vector<int64_t> shape = file.shape(kEmbedding), ids = file.shape(kId);
  const std::optional<c10::ScalarType> dtype = file.dtype(kEmbedding);
  TRIREME_CHECK(shape.size() == 2 && (dtype == torch::kFloat32 || dtype == torch::kFloat16), DataError, "embeddings",
                "{}: /embedding must be [N, D] float32 or float16; got {} {}; check that it is the right file.",
                quote_path(file.path()), shape_string(shape), dtype ? dtype_name(*dtype) : "strings");
  TRIREME_CHECK(!file.dtype(kId) && ids.size() == 1 && ids[0] == shape[0], DataError, "embeddings",
                "{}: /id must be [{}] strings, one per row of /embedding; got {} {}; make the file again.",
                quote_path(file.path()), shape[0], shape_string(ids), file.dtype(kId) ? "numbers" : "strings");
  return {shape[0], shape[1], *dtype};
}

/// The first row with a NaN or infinity, or rows.size(0).
template <class Bits>
int64_t first_non_finite_row(const torch::Tensor& rows, Bits exponent_mask) {
  const auto* bits = static_cast<const Bits*>(rows.const_data_ptr());
  const int64_t dim = rows.size(1);
  for (int64_t row = 0; row < rows.size(0); ++row) {
    bool finite = true;
    for (int64_t i = 0; i < dim; ++i) finite &= (bits[row * dim + i] & exponent_mask) != exponent_mask;
    if (!finite) return row;
  }
  return rows.size(0);
}

}  // namespace

struct EmbeddingsWriter::State {
  State(const std::filesystem::path& out, int64_t row_count, int64_t dims, c10::ScalarType dtype,
        EmbeddingsFileKind file_kind)
      : path(out),
        rows(row_count),
        dim(dims),
        store_dtype(dtype),
        kind(file_kind),
        file(out),
        written(row_count, false) {}

  std::filesystem::path path;
  int64_t rows, dim;
  c10::ScalarType store_dtype;
  EmbeddingsFileKind kind;
  Hdf5Writer file;
  std::vector<bool> written;  ///< of the whole file's rows
  int64_t rows_written = 0;
  std::vector<Block> blocks;  ///< of a part, in the order written
  std::vector<SkippedRow> skipped;

  void set_done(int64_t row) {
    TRIREME_ASSERT(!written[row], "row {} is written or skipped twice", row);
    written[row] = true;
  }
};

EmbeddingsWriter::EmbeddingsWriter(const std::filesystem::path& path, int64_t rows, int64_t dim,
                                   c10::ScalarType store_dtype, EmbeddingsFileKind kind) {
  TRIREME_ASSERT(rows >= 0 && dim > 0, "{} rows of {} values", rows, dim);
  TRIREME_ASSERT(store_dtype == torch::kFloat32 || store_dtype == torch::kFloat16, "{}", dtype_name(store_dtype));
  state_ = std::make_unique<State>(path, rows, dim, store_dtype, kind);
  const int64_t rows_in_file = kind == EmbeddingsFileKind::kWhole ? rows : kGrowingRows;
  state_->file.create(kEmbedding, store_dtype, {rows_in_file, dim});
  state_->file.create_strings(kId, {rows_in_file});
}

EmbeddingsWriter::EmbeddingsWriter(EmbeddingsWriter&&) noexcept = default;
EmbeddingsWriter::~EmbeddingsWriter() = default;

void EmbeddingsWriter::write(int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& embeddings) {
  State& state = *state_;
  const int64_t count = std::ssize(ids);
  TRIREME_CHECK(embeddings.sizes() == c10::IntArrayRef({count, state.dim}) &&
                    embeddings.scalar_type() == torch::kFloat32 && embeddings.is_cpu(),
                ShapeError, "embeddings",
                "{} rows must come as [{}, {}] float32 on the CPU; got {} on {}; convert them.", count, count,
                state.dim, shape_string(embeddings), embeddings.device().str());
  TRIREME_ASSERT(first_row >= 0 && first_row <= state.rows - count, "rows [{}, {}) of {}", first_row, first_row + count,
                 state.rows);
  if (count == 0) return;
  const torch::Tensor values = embeddings.detach().contiguous();
  if (const int64_t bad = first_non_finite_row<uint32_t>(values, 0x7f800000u); bad < count)
    throw DataError("embeddings", fmt::format("every embedding must be finite; got NaN or infinity for id {} (row {}); "
                                              "check that record and the weights, or compute in float32.",
                                              quote_text(ids[bad]), first_row + bad));
  const torch::Tensor stored = values.to(state.store_dtype);
  if (state.store_dtype == torch::kFloat16) {
    const int64_t bad = first_non_finite_row<uint16_t>(stored, 0x7c00u);
    TRIREME_CHECK(bad == count, DataError, "embeddings",
                  "every value must be within float16's 65504; got more for id {} (row {}); store float32.",
                  quote_text(ids[bad]), first_row + bad);
  }
  for (int64_t row = first_row; row < first_row + count; ++row) state.set_done(row);
  const int64_t row_in_file = state.kind == EmbeddingsFileKind::kWhole ? first_row : state.rows_written;
  state.file.write(kEmbedding, row_in_file, stored);
  state.file.write_strings(kId, row_in_file, ids);
  state.rows_written += count;
  if (!state.blocks.empty() && state.blocks.back().first_row + state.blocks.back().rows == first_row) {
    state.blocks.back().rows += count;
  } else {
    state.blocks.push_back({first_row, count});
  }
}

void EmbeddingsWriter::skip(const SkippedRow& row) {
  State& state = *state_;
  TRIREME_ASSERT(state.kind == EmbeddingsFileKind::kPart && row.row >= 0 && row.row < state.rows, "row {} of {}",
                 row.row, state.rows);
  state.set_done(row.row);
  state.skipped.push_back(row);
}

void EmbeddingsWriter::list_skipped(std::vector<SkippedRow> rows) { state_->skipped = std::move(rows); }

void EmbeddingsWriter::commit(const EmbeddingsInfo& info) {
  State& state = *state_;
  if (state.kind == EmbeddingsFileKind::kWhole) {
    TRIREME_ASSERT(state.rows_written == state.rows, "{} of {} rows are written", state.rows_written, state.rows);
    write_info(state.file, kWholeFormat, info);
  } else {
    write_info(state.file, kPartFormat, info);
    state.file.set_attribute("rows", state.rows);
    const int64_t blocks = std::ssize(state.blocks);
    state.file.create(kBlock, torch::kInt64, {blocks, 2});
    static_assert(sizeof(Block) == 2 * sizeof(int64_t));
    state.file.write(kBlock, 0, at::from_blob(state.blocks.data(), {blocks, 2}, torch::kInt64));
  }
  write_skipped(state.file, state.skipped);
  state.file.commit();
}

std::filesystem::path embeddings_part_path(const std::filesystem::path& out, int rank) {
  std::filesystem::path path = out;
  path += fmt::format(".part-{}", rank);
  return path;
}

namespace {

struct Part {
  Hdf5Reader file;
  int64_t rows;  ///< of the whole file
  Contents contents;
  EmbeddingsInfo info;
  std::vector<SkippedRow> skipped;
};

Part open_part(const std::filesystem::path& path) {
  Hdf5Reader file(path);
  const Hdf5Format format = file.require_format(kPartFormat, kEmbeddingsVersion);
  const int64_t rows = file.int_attribute("rows");
  const Contents contents = check_contents(file);
  EmbeddingsInfo info = read_info(file, format);
  std::vector<SkippedRow> skipped = read_skipped(file);
  return {std::move(file), rows, contents, std::move(info), std::move(skipped)};
}

/// A block and where it lies; a skipped row is a block of one row that lies nowhere.
struct Placed {
  Block block;
  std::size_t part;
  std::optional<int64_t> row_in_part;
};

std::vector<Placed> blocks_of(const Part& part, std::size_t index) {
  const std::vector<int64_t> shape = part.file.shape(kBlock);
  TRIREME_CHECK(shape.size() == 2 && shape[1] == 2 && part.file.dtype(kBlock) == torch::kInt64, DataError, "embeddings",
                "{}: /block must be [blocks, 2] int64; got {}; embed again.", quote_path(part.file.path()),
                shape_string(shape));
  const torch::Tensor table = part.file.read(kBlock, 0, shape[0]);
  const auto* const numbers = table.const_data_ptr<int64_t>();
  std::vector<Placed> blocks;
  int64_t row_in_part = 0;
  for (int64_t i = 0; i < shape[0]; ++i) {
    const Block block{numbers[2 * i], numbers[2 * i + 1]};
    const bool fits = block.first_row >= 0 && block.rows >= 0 && block.rows <= part.contents.rows - row_in_part &&
                      block.first_row <= part.rows - block.rows;
    TRIREME_CHECK(fits, DataError, "embeddings",
                  "{}: block {} must lie within its {} of {} rows; got {} rows from {}; embed again.",
                  quote_path(part.file.path()), i, part.contents.rows, part.rows, block.rows, block.first_row);
    if (block.rows > 0) blocks.push_back({block, index, row_in_part});
    row_in_part += block.rows;
  }
  TRIREME_CHECK(row_in_part == part.contents.rows, DataError, "embeddings",
                "{}: the blocks must name every row; got {} of {}; embed again.", quote_path(part.file.path()),
                row_in_part, part.contents.rows);
  for (const SkippedRow& skipped : part.skipped) {
    TRIREME_CHECK(skipped.row >= 0 && skipped.row < part.rows, DataError, "embeddings",
                  "{}: a skipped row must be one of {}; got {}; embed again.", quote_path(part.file.path()), part.rows,
                  skipped.row);
    blocks.push_back({{skipped.row, 1}, index, std::nullopt});
  }
  return blocks;
}

/// Every block of every part by its first row; together they are each row of the record file once.
std::vector<Placed> order_blocks(const std::vector<Part>& parts) {
  std::vector<Placed> blocks;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::vector<Placed> of_part = blocks_of(parts[i], i);
    blocks.insert(blocks.end(), of_part.begin(), of_part.end());
  }
  std::sort(blocks.begin(), blocks.end(),
            [](const Placed& a, const Placed& b) { return a.block.first_row < b.block.first_row; });
  int64_t next_row = 0;
  const std::filesystem::path* previous = nullptr;
  for (const Placed& placed : blocks) {
    const std::filesystem::path& path = parts[placed.part].file.path();
    TRIREME_CHECK(placed.block.first_row <= next_row, DataError, "embeddings",
                  "every row must be in a part; got none with rows {} to {}; embed again.", next_row,
                  placed.block.first_row - 1);
    TRIREME_CHECK(placed.block.first_row == next_row, DataError, "embeddings",
                  "every row must be in one part; got row {} in {} and {}; embed again.", placed.block.first_row,
                  quote_path(*previous), quote_path(path));
    next_row += placed.block.rows;
    previous = &path;
  }
  TRIREME_CHECK(next_row == parts[0].rows, DataError, "embeddings",
                "every row must be in a part; got none with rows {} to {}; embed again.", next_row, parts[0].rows - 1);
  return blocks;
}

void check_agreement(const Part& first, const Part& part) {
  const auto describe = [](const Part& each) {
    return fmt::format("{} rows of {} {}, model {} {}, adapter {}, rope {}, config {}, normalized {}, fingerprint {}",
                       each.rows, each.contents.dim, dtype_name(each.contents.dtype), quote_text(each.info.model),
                       each.info.model_sha256, each.info.adapter_sha256, each.info.rope_mode, each.info.config_sha256,
                       each.info.normalized, each.info.fingerprint.sha256());
  };
  TRIREME_CHECK(
      describe(part) == describe(first), DataError, "embeddings",
      "{} must be of the same run as {} ({}); got {}; embed again with the same options and weights on every rank.",
      quote_path(part.file.path()), quote_path(first.file.path()), describe(first), describe(part));
}

std::vector<SkippedRow> skipped_of(const std::vector<Part>& parts) {
  std::vector<SkippedRow> skipped;
  for (const Part& part : parts) skipped.insert(skipped.end(), part.skipped.begin(), part.skipped.end());
  std::sort(skipped.begin(), skipped.end(), [](const SkippedRow& a, const SkippedRow& b) { return a.row < b.row; });
  TRIREME_CHECK(skipped.empty() || std::ssize(skipped) < parts[0].rows, DataError, "embeddings",
                "a record at least must be readable; got {} that are not, the first: {}; check the pictures and their "
                "folder.",
                skipped.size(), skipped.front().reason);
  return skipped;
}

/// Removes the files at the end of its scope.
struct Removal {
  const std::vector<std::filesystem::path>& paths;
  ~Removal() {
    std::error_code ignored;
    for (const std::filesystem::path& path : paths) std::filesystem::remove(path, ignored);
  }
};

}  // namespace

void join_embedding_parts(const std::vector<std::filesystem::path>& paths, const std::filesystem::path& out) {
  constexpr int64_t kBytesAtOnce = 16 << 20;
  TRIREME_ASSERT(!paths.empty(), "no parts");
  const Removal removal{paths};
  std::vector<Part> parts;
  for (const std::filesystem::path& path : paths) {
    parts.push_back(open_part(path));
    check_agreement(parts.front(), parts.back());
  }
  const Part& first = parts.front();
  const std::vector<Placed> blocks = order_blocks(parts);
  const std::vector<SkippedRow> skipped = skipped_of(parts);
  EmbeddingsWriter writer(out, first.rows - std::ssize(skipped), first.contents.dim, first.contents.dtype);
  const int64_t rows_at_once = std::max<int64_t>(1, kBytesAtOnce / (first.contents.dim * 4));
  int64_t next_row = 0;
  for (const Placed& placed : blocks) {
    if (!placed.row_in_part) continue;
    for (int64_t done = 0; done < placed.block.rows; done += rows_at_once) {
      const int64_t count = std::min(rows_at_once, placed.block.rows - done), row = *placed.row_in_part + done;
      const Hdf5Reader& file = parts[placed.part].file;
      writer.write(next_row, file.read_strings(kId, row, count), file.read(kEmbedding, row, count).to(torch::kFloat32));
      next_row += count;
    }
  }
  writer.list_skipped(skipped);
  writer.commit(first.info);
}

struct EmbeddingsReader::State {
  explicit State(const std::filesystem::path& path)
      : file(path),
        info(read_info(file, file.require_format(kWholeFormat, kEmbeddingsVersion))),
        contents(check_contents(file)) {}

  Hdf5Reader file;
  EmbeddingsInfo info;
  Contents contents;
};

EmbeddingsReader::EmbeddingsReader(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
EmbeddingsReader::EmbeddingsReader(EmbeddingsReader&&) noexcept = default;
EmbeddingsReader::~EmbeddingsReader() = default;

int64_t EmbeddingsReader::rows() const noexcept { return state_->contents.rows; }
int64_t EmbeddingsReader::dim() const noexcept { return state_->contents.dim; }
c10::ScalarType EmbeddingsReader::dtype() const noexcept { return state_->contents.dtype; }
const EmbeddingsInfo& EmbeddingsReader::info() const noexcept { return state_->info; }

torch::Tensor EmbeddingsReader::read(int64_t first_row, int64_t count) const {
  return state_->file.read(kEmbedding, first_row, count);
}

std::vector<SkippedRow> EmbeddingsReader::skipped() const { return read_skipped(state_->file); }

std::vector<std::string> EmbeddingsReader::read_ids(int64_t first_row, int64_t count) const {
  return state_->file.read_strings(kId, first_row, count);
}

}  // namespace trireme
