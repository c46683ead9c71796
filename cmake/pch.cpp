// The donor of the precompiled header (cmake/TriremeModule.cmake). Nothing else belongs here.
