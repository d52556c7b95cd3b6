/* The report of a token's test, for people. */
#pragma once

#include <stdio.h>

#include "base/json.h"

/* Write a report as esign-token --test makes it; members that are missing are left out. */
void token_report_show(FILE *out, const json_t *report);
