#pragma once

#include <filesystem>
#include <optional>

#include "core/distributed/communicator.h"
#include "core/io/fingerprint.h"
#include "data/image/preprocess.h"
#include "data/loader/image_digest.h"
#include "data/sources/records.h"
#include "models/model_config.h"
#include "models/weights/adapter.h"

namespace trireme {

// The parts of a fingerprint, each in one place; docs/formats.md says the same in words. Weights are hashed elsewhere,
// beside loading (core/distributed/files_hash.h).

/// What a checkpoint's folder and an adapter's decide beside the bytes of weights. adapter: null when there is none.
/// cost: reads tokenizer.json.
Fingerprint folder_fingerprint(const std::filesystem::path& folder, const ModelConfig& model, const Adapter* adapter);

/// What images become: the checkpoint's processor, with the pixel limits that hold.
Fingerprint image_fingerprint(const ImageProcessorConfig& processor);

/// That of a model and how it is asked, with ids, texts and instructions of what it embeds; the parts about images
/// are taken out where there are none. Collective: rank 0 reads the file once.
Fingerprint with_records(Fingerprint model, const RecordFile& records, Communicator& communicator);

/// All ranks' digests together. Collective.
ImageDigest summed(const ImageDigest& mine, Communicator& communicator);

/// What of an image's file a digest is taken over.
enum class ImageFacts {
  kContent,  ///< its bytes: reads them all
  kStamp,    ///< file_stamp(): cheap, and different for a copy
};
/// Of all images of the records, each rank reading its share. Collective.
/// throws DataError: an image missing, or outside image_root; under on_error: skip it counts as missing.
ImageDigest digest_images(const RecordFile& records, const ImageRoot& image_root, ImageFacts facts,
                          OnDataError on_error, Communicator& communicator);

}  // namespace trireme
