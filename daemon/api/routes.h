/* The rows of the API: the only place where it is said what may be called by whom. */
#pragma once

#include "api/route.h"

extern const struct api_route api_routes[];
extern const size_t api_route_count;
