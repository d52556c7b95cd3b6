/* Included by the main file of each program that confines itself: in a sanitizer build the leak
 * checker would start a thread, open files and trace its own process at exit, which a confined
 * program can't. Leaks are looked for in the unit tests. */
#pragma once

#ifdef ESIGN_SANITIZE
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif
