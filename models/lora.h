#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/tensors.h"

namespace trireme {

class FieldList;

/// [lora] Which linear layers get a low-rank term, and how it begins. Source: LoRA, arXiv:2106.09685, sec. 4.1; rsLoRA,
/// arXiv:2312.03732; the defaults are those of LamRA's second stage.
struct LoraConfig {
  int64_t rank = 128;
  double alpha = 256;
  double dropout = 0.05;
  bool rslora = false;
  std::vector<std::string> target_modules = {"model\\.layers\\..*"};
  std::vector<std::string> exclude_modules;

  void describe(FieldList& v);
};

struct LoraCount {
  int64_t modules = 0, parameters = 0;
};

/// Hangs a fresh pair on every linear layer that the config selects, as PEFT begins: A uniform in +-1/sqrt(in)
/// (Kaiming's rule with a = sqrt(5)), B zero, so the model computes what it did. In float32 (float64 in a float64
/// model) whatever the model's dtype. A's values depend on `seed` and the module's path alone. Asks no gradients yet
/// (models/trainable.h).
/// throws ConfigError: an entry of target_modules or exclude_modules that matches no linear layer, or nothing selected
///        (lists the layers' names); lm_head of a tied head; a selected layer that carries LoRA already. DataError: an
///        entry that is no regular expression.
LoraCount attach_lora(const ModelTensors& model, const LoraConfig& config, uint64_t seed);

/// Sets the dropout of every LoRA term, as when an adapter that was read from a file is trained further.
void set_lora_dropout(const ModelTensors& model, double probability);

}  // namespace trireme
