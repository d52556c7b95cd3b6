# cmake -C packaging/presets/release.cmake -B BUILD -G Ninja
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g" CACHE STRING "assert stays on" FORCE)
set(ESIGN_SANITIZE OFF CACHE BOOL "" FORCE)
