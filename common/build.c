#include "config.h"

#include "build_id.h"
#include "common/build.h"

const char build_mark[] = "pop3d build " BUILD_ID;
