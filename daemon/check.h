/* esignd --check: whether a copy of a store and its anchor hold, without a service. */
#pragma once

/* Check directory/store.db, which is opened as a service would, and directory/anchor (it may be
 * missing), with the log key that the store tells of: entries, leaves, rows, checkpoints.  The
 * directory is a working copy: files beside the store are made.  Prints one line of JSON: size,
 * root, bad_seq, checkpoint_size, result ("ok" or "broken"), detail, mark.  Returns the program's
 * exit code: 0 it holds; 1 it does not, or could not be checked.
 * Source: 21 CFR 11.10(c); EU GMP Annex 11, 7.2. */
int check_run(const char *directory);
