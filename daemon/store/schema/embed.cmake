# cmake -D SCHEMA_DIR=… -D OUT=… -P embed.cmake: write store_migrations() from NNNN_name.sql.
file(GLOB files ${SCHEMA_DIR}/*.sql)
list(SORT files)
set(arrays "")
set(rows "")
set(version 0)
foreach(file IN LISTS files)
    math(EXPR version "${version} + 1")
    get_filename_component(name ${file} NAME_WE)
    if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_[a-z_]+$")
        message(FATAL_ERROR "${file}: not NNNN_name.sql")
    endif()
    math(EXPR number "1${CMAKE_MATCH_1} - 10000")
    if(NOT number EQUAL version)
        message(FATAL_ERROR "${file}: number ${version} expected")
    endif()
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
    string(APPEND arrays "static const char SQL_${version}[] = {${hex}0};\n")
    string(APPEND rows "    {${version}, \"${name}\", SQL_${version}},\n")
endforeach()
file(WRITE ${OUT}
"#include \"store/migrate.h\"

${arrays}
static const struct store_migration MIGRATIONS[] = {
${rows}};

const struct store_migration *store_migrations(size_t *ret_count)
{
    *ret_count = sizeof MIGRATIONS / sizeof MIGRATIONS[0];
    return MIGRATIONS;
}
")
