#define _GNU_SOURCE /* dladdr */

/* What the simulator sees of the library: its device descriptors, made when it is loaded.
 *
 * Loaded as ``edges.osdi`` it has devices of one edge. Under any other name X.osdi it has the one
 * device that the side file X.dat beside it describes: all of a layer, or one of its pairs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dlfcn.h>

#include "devices.h"

#define EXPORTED __attribute__((visibility("default")))

EXPORTED uint32_t OSDI_VERSION_MAJOR = OSDI_MAJOR;
EXPORTED uint32_t OSDI_VERSION_MINOR = OSDI_MINOR;
EXPORTED uint32_t OSDI_NUM_DESCRIPTORS = 0;
EXPORTED OsdiDescriptor OSDI_DESCRIPTORS[EDGE_DEVICES];

static const char EDGES[] = "edges.osdi", LIBRARY[] = ".osdi", SIDE_FILE[] = ".dat";

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void load_layer(const char *library) {
    char message[256] = "no memory";
    const size_t stem = strlen(library) - strlen(LIBRARY);
    char *path = malloc(stem + sizeof SIDE_FILE);
    const LayerData *layer = NULL;
    if (path != NULL) {
        memcpy(path, library, stem);
        memcpy(path + stem, SIDE_FILE, sizeof SIDE_FILE);
        layer = layer_read(path, message, sizeof message);
    }
    bool made = layer != NULL;
    if (layer != NULL && layer->grain == GRAIN_PAIR) pair_device(layer, &OSDI_DESCRIPTORS[0]);
    else if (layer != NULL) made = whole_device(layer, &OSDI_DESCRIPTORS[0]);
    if (made) OSDI_NUM_DESCRIPTORS = 1;
    else fprintf(stderr, "Error: %s: %s\n", path == NULL ? library : path, message);
    free(path);
}

__attribute__((constructor)) static void load(void) {
    Dl_info self;
    if (dladdr((void *)&OSDI_NUM_DESCRIPTORS, &self) == 0 || self.dli_fname == NULL ||
        !ends_with(self.dli_fname, LIBRARY))
        return; /* not loaded as a device library */
    if (ends_with(self.dli_fname, EDGES)) OSDI_NUM_DESCRIPTORS = edge_devices(OSDI_DESCRIPTORS);
    else load_layer(self.dli_fname);
}
