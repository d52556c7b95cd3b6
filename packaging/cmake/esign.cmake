# How targets are made here: warnings and hardening on one interface target, one static library a
# folder, one test program a source file.

add_library(esign_flags INTERFACE)
target_compile_options(esign_flags INTERFACE
    -std=gnu2x -Wall -Wextra -Wconversion -Wshadow -Wcast-qual -Wformat=2 -Wvla -Wmissing-prototypes
    -Wstrict-prototypes -Wwrite-strings -Werror -fno-common -fPIE)
target_compile_definitions(esign_flags INTERFACE
    _GNU_SOURCE OPENSSL_API_COMPAT=0x30000000L ESIGN_VERSION="${PROJECT_VERSION}")
target_include_directories(esign_flags INTERFACE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/daemon ${PROJECT_SOURCE_DIR})
if(ESIGN_SANITIZE)
    target_compile_options(esign_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    target_link_options(esign_flags INTERFACE -fsanitize=address,undefined)
    target_compile_definitions(esign_flags INTERFACE ESIGN_SANITIZE=1)
else()
    target_compile_options(esign_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
        -fstack-protector-strong -fstack-clash-protection -fcf-protection)
endif()
target_link_options(esign_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)

foreach(module IN ITEMS libcrypto jansson sqlite3 libsodium libmicrohttpd libcurl libconfig libp11
        p11-kit-1 libseccomp cmocka)
    pkg_check_modules(${module} REQUIRED IMPORTED_TARGET ${module})
endforeach()

# esign_library(NAME SOURCES file … LINK target …): the static library of one folder.
function(esign_library name)
    cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PUBLIC esign_flags ${arg_LINK})
endfunction()

# esign_program(NAME SOURCES file … LINK target … [DESTINATION dir])
function(esign_program name)
    cmake_parse_arguments(arg "" "DESTINATION" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE esign_flags ${arg_LINK})
    if(NOT arg_DESTINATION)
        set(arg_DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/esignd)
    endif()
    install(TARGETS ${name} DESTINATION ${arg_DESTINATION})
endfunction()

# esign_test(folder/test_file LINK target …): tests/unit/folder/test_file.c, run by tests/run.
function(esign_test path)
    cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
    get_filename_component(name ${path} NAME)
    get_filename_component(folder ${path} DIRECTORY)
    string(REPLACE "/" "_" folder "${folder}")
    set(target "${folder}_${name}")
    add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/unit/${path}.c)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
    target_link_libraries(${target} PRIVATE esign_flags ${arg_LINK} PkgConfig::cmocka)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
    add_test(NAME ${target} COMMAND ${target})
endfunction()
