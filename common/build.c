#include "config.h"

#include "build_id.h"
#include "common/build.h"

#define TEXT(digits)	 #digits
#define MARK(digits)	 "pop3d build " TEXT(digits)
#define NUMBER(digits)	 UINT64_C(0x##digits)
#define NUMBER_OF(macro) NUMBER(macro)

const char build_mark[] = MARK(BUILD_ID);
const uint64_t build_id = NUMBER_OF(BUILD_ID);
const char build_differs[] = "program is of another build (reinstall or restart pop3d)";
