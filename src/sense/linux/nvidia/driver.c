/* A driver's library for the tests: three cards, of which one is lost and one
 * has no memory of its own. OLD: as before the newer call for memory. ANCIENT:
 * as before the newer call to begin. HANGS: it does not come back. */
#include <string.h>
#include <unistd.h>

typedef unsigned long long u64;
struct card { int index; };
struct bare { u64 total, free, used; };
struct with_reserved { unsigned int version; u64 total, reserved, free, used; };

static struct card cards[3] = {{0}, {1}, {2}};
static int begun;
static const u64 gib = 1ull << 30;

#ifdef ANCIENT
int nvmlInit(void) { return 0; }
#else
int nvmlInit_v2(void) {
#ifdef HANGS
    sleep(5);
#endif
    begun++;
    return 0;
}
#endif
int nvmlShutdown(void) { begun--; return 0; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    if (!begun) return 1;
    *count = 3;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **card) {
    if (!begun) return 1;
    if (index > 2) return 2;
    *card = &cards[index];
    return 0;
}

int nvmlDeviceGetName(void *card, char *name, unsigned int length) {
    static const char *names[3] = {"NVIDIA Test 24G", "NVIDIA Lost", "NVIDIA GB10"};
    const char *own = names[((struct card *)card)->index];
    if (strlen(own) + 1 > length) return 7;
    strcpy(name, own);
    return 0;
}

int nvmlDeviceGetMemoryInfo(void *card, struct bare *told) {
    switch (((struct card *)card)->index) {
    case 0:
        told->total = 24 * gib, told->free = 19 * gib, told->used = 5 * gib;
        return 0;
    case 1: return 15;
    default: return 3;
    }
}

#ifndef OLD
int nvmlDeviceGetMemoryInfo_v2(void *card, struct with_reserved *told) {
    if (told->version != (sizeof *told | 2 << 24)) return 25;
    switch (((struct card *)card)->index) {
    case 0:
        told->total = 24 * gib, told->reserved = gib, told->free = 19 * gib, told->used = 4 * gib;
        return 0;
    case 1: return 15;
    default: told->total = told->reserved = told->free = told->used = 0; return 0;
    }
}
#endif
