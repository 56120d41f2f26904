/* The device descriptors that the library offers. */

#ifndef KCOMPILE_DEVICES_H
#define KCOMPILE_DEVICES_H

#include <stddef.h>

#include "layer.h"
#include "osdi.h"

enum { EDGE_DEVICES = 4 };

/* Devices of one edge: with the full and with the diagonal Jacobian, without and with a gate. */
uint32_t edge_devices(OsdiDescriptor *descriptors);

/* The device of a side file, which must stay: for one of its pairs, or for all of it (false where
 * there is no memory for that). */
void pair_device(const LayerData *layer, OsdiDescriptor *descriptor);
bool whole_device(const LayerData *layer, OsdiDescriptor *descriptor);

/* What descriptors say of things that our devices do not have, and of their nodes. */
void fill_common(OsdiDescriptor *descriptor);
OsdiNode terminal(char *name);

/* What set-up functions must say, for the simulator hands over uninitialised memory. */
static inline void setup_done(OsdiSetup *setup) {
    setup->flags = 0;
    setup->errors = 0;
    setup->error = NULL;
}

#endif
