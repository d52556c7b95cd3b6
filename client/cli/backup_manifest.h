/* manifest.json of a backup: which files it has, by SHA-256; written last, so that a backup without
 * one is none. */
#pragma once

#include "base/fault.h"
#include "base/json.h"

/* Add the members format, version, made and files (all that is below directory) to manifest, write
 * it there, and check what stands on the disk.  ESIGN_E_INTERNAL (cause errno), ESIGN_E_FORMAT. */
enum esign_rc backup_manifest_write(const char *directory, json_t *manifest,
                                    struct fault *f) MUST_CHECK;

/* Read the manifest of a backup of that kind ("site" or "token", NULL: either) and compare every
 * file with it. ret: owned by the caller.  ESIGN_E_FORMAT: a file is missing, altered or too much,
 * by name; there is no manifest, or another kind or format of one. */
enum esign_rc backup_manifest_check(const char *directory, const char *kind, json_t **ret,
                                    struct fault *f) MUST_CHECK;
