# cmake -C packaging/presets/asan-ubsan.cmake -B BUILD -G Ninja
set(CMAKE_BUILD_TYPE Debug CACHE STRING "" FORCE)
set(CMAKE_C_FLAGS_DEBUG "-O1 -g" CACHE STRING "" FORCE)
set(ESIGN_SANITIZE ON CACHE BOOL "AddressSanitizer and UndefinedBehaviorSanitizer" FORCE)
