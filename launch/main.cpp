#include <CLI/CLI.hpp>

#include "launch/cpu_settings.h"

int main(int argc, char** argv) {
  trireme::keep_freed_memory();
  CLI::App app{"Trireme: training and serving multimodal retrievers"};
  app.require_subcommand(1);
  CLI11_PARSE(app, argc, argv);
  return 0;
}
