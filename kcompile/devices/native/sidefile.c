/* Side files: a layer's edges in binary, read whole and believed only when all of it fits.
 *
 * kcompile/devices/sidefile.py writes them and describes the format. */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer.h"

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t order;
    uint32_t grain;
    uint32_t diagonal;
    uint32_t gates;
    uint32_t nodes;
    uint64_t pairs;
    uint64_t knots;
    uint64_t edges;
    char name[32];
    uint32_t checksum;
    uint32_t zero;
} Header;

enum { VERSION = 1, ORDER = 0x01020304 };

static const uint64_t MOST = UINT64_C(1) << 31;       /* of anything */
static const uint32_t MOST_NODES = UINT32_C(1) << 20; /* which no section of the file bears out */

static uint32_t checksum(const unsigned char *data, size_t length) {
    static uint32_t table[256];
    if (table[1] == 0)
        for (uint32_t n = 0; n < 256; ++n) {
            uint32_t c = n;
            for (int k = 0; k < 8; ++k) c = c & 1 ? UINT32_C(0xedb88320) ^ (c >> 1) : c >> 1;
            table[n] = c;
        }
    uint32_t crc = UINT32_MAX;
    for (size_t k = 0; k < length; ++k) crc = table[(crc ^ data[k]) & 255] ^ (crc >> 8);
    return ~crc;
}

static bool refuse(char *message, size_t length, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, length, format, arguments);
    va_end(arguments);
    return false;
}

/* All of a file, with its length; NULL and a message where it cannot be read. */
static unsigned char *read_whole(const char *path, size_t *size, char *message, size_t length) {
    FILE *stream = fopen(path, "rb");
    unsigned char *data = NULL;
    long end = -1;
    if (stream == NULL) {
        refuse(message, length, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    if (fseek(stream, 0, SEEK_END) == 0) end = ftell(stream);
    if (end < 0 || fseek(stream, 0, SEEK_SET) != 0)
        refuse(message, length, "cannot be read: %s", strerror(errno));
    else if ((data = malloc((size_t)end + 1)) == NULL)
        refuse(message, length, "no memory for its %ld bytes", end);
    else if (fread(data, 1, (size_t)end, stream) != (size_t)end) {
        refuse(message, length, "cannot be read to its end");
        free(data);
        data = NULL;
    } else *size = (size_t)end;
    fclose(stream);
    return data;
}

static bool check_header(const Header *head, char *message, size_t length) {
    if (memcmp(head->magic, "KCLAYER\n", 8) != 0) return refuse(message, length, "no side file");
    if (head->order != ORDER)
        return refuse(message, length, "written on a machine with another order of bytes");
    if (head->version != VERSION)
        return refuse(message, length, "version %u, this library reads %u", head->version,
                      (unsigned)VERSION);
    if (head->grain != GRAIN_PAIR && head->grain != GRAIN_LAYER)
        return refuse(message, length, "unknown grain %u", head->grain);
    if (head->diagonal > 1 || head->zero != 0)
        return refuse(message, length, "a flag is neither 0 nor 1");
    if (head->gates >= GATES_KINDS) return refuse(message, length, "unknown gates %u", head->gates);
    if (head->nodes < 1 || head->nodes > MOST_NODES || head->pairs > MOST || head->knots > MOST ||
        head->edges > MOST)
        return refuse(message, length, "sizes beyond all reason");
    size_t letters = 0;
    while (letters < sizeof head->name && head->name[letters] != 0) {
        const char letter = head->name[letters++];
        if (!((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
              letter == '_'))
            return refuse(message, length, "the device's name is none");
    }
    if (letters == 0 || letters == sizeof head->name)
        return refuse(message, length, "the device's name is none");
    return true;
}

static const void *take(const unsigned char *data, size_t *position, uint64_t count, size_t width) {
    const void *section = data + *position;
    *position += (size_t)((count * width + 7) / 8 * 8);
    return section;
}

static size_t total_size(const Header *head) {
    const uint64_t segments = head->knots + head->pairs;
    const uint64_t words = 2 * ((head->pairs + 1) / 2) + 2 * (head->pairs + 1) + head->knots +
                           2 * segments + 4 * head->edges + (head->edges + 7) / 8;
    return sizeof(Header) + (size_t)(8 * words);
}

static bool ascending(const uint64_t *ptr, uint64_t count, uint64_t last) {
    if (ptr[0] != 0 || ptr[count] != last) return false;
    for (uint64_t k = 0; k < count; ++k)
        if (ptr[k] > ptr[k + 1]) return false;
    return true;
}

static bool finite_all(const double *values, uint64_t count) {
    for (uint64_t k = 0; k < count; ++k)
        if (!isfinite(values[k])) return false;
    return true;
}

static bool check_content(const LayerData *layer, char *message, size_t length) {
    for (uint64_t k = 0; k < layer->pairs; ++k)
        if (layer->high[k] < 1 || layer->high[k] > layer->nodes || layer->low[k] > layer->nodes)
            return refuse(message, length, "pair %llu has a node that there is not",
                          (unsigned long long)k);
        else if (layer->high[k] == layer->low[k])
            return refuse(message, length, "pair %llu joins a node with itself",
                          (unsigned long long)k);
    if (!ascending(layer->knots, layer->pairs, layer->all_knots) ||
        !ascending(layer->edges, layer->pairs, layer->all_edges))
        return refuse(message, length, "offsets out of order");
    const uint64_t segments = layer->all_knots + layer->pairs;
    if (!finite_all(layer->knot, layer->all_knots) || !finite_all(layer->slope, segments) ||
        !finite_all(layer->offset, segments) || !finite_all(layer->w, layer->all_edges) ||
        !finite_all(layer->a, layer->all_edges) || !finite_all(layer->b, layer->all_edges) ||
        !finite_all(layer->c, layer->all_edges))
        return refuse(message, length, "a number is not finite");
    for (uint64_t k = 0; k < layer->pairs; ++k)
        for (uint64_t at = layer->knots[k] + 1; at < layer->knots[k + 1]; ++at)
            if (!(layer->knot[at - 1] <= layer->knot[at]))
                return refuse(message, length, "kinks out of order");
    for (uint64_t k = 0; k < layer->all_edges; ++k)
        if (layer->phi[k] >= PHI_COUNT)
            return refuse(message, length, "unknown nonlinearity %u", layer->phi[k]);
    return true;
}

LayerData *layer_read(const char *path, char *message, size_t length) {
    size_t size = 0;
    unsigned char *data = read_whole(path, &size, message, length);
    LayerData *layer = NULL;
    Header head;
    if (data == NULL) return NULL;
    if (size < sizeof head) {
        refuse(message, length, "too short for a side file");
        goto bad;
    }
    memcpy(&head, data, sizeof head);
    if (!check_header(&head, message, length)) goto bad;
    if (size != total_size(&head)) {
        refuse(message, length, "%zu bytes where its header says %zu", size, total_size(&head));
        goto bad;
    }
    memset(data + offsetof(Header, checksum), 0, sizeof head.checksum);
    if (checksum(data, size) != head.checksum) {
        refuse(message, length, "damaged: its checksum is wrong");
        goto bad;
    }
    if ((layer = calloc(1, sizeof *layer)) == NULL) {
        refuse(message, length, "no memory");
        goto bad;
    }
    memcpy(layer->name, head.name, sizeof layer->name);
    layer->grain = (Grain)head.grain;
    layer->diagonal = head.diagonal != 0;
    layer->gates = (Gates)head.gates;
    layer->nodes = head.nodes;
    layer->pairs = head.pairs;
    layer->all_knots = head.knots;
    layer->all_edges = head.edges;
    size_t at = sizeof head;
    layer->high = take(data, &at, head.pairs, 4);
    layer->low = take(data, &at, head.pairs, 4);
    layer->knots = take(data, &at, head.pairs + 1, 8);
    layer->edges = take(data, &at, head.pairs + 1, 8);
    layer->knot = take(data, &at, head.knots, 8);
    layer->slope = take(data, &at, head.knots + head.pairs, 8);
    layer->offset = take(data, &at, head.knots + head.pairs, 8);
    layer->w = take(data, &at, head.edges, 8);
    layer->a = take(data, &at, head.edges, 8);
    layer->b = take(data, &at, head.edges, 8);
    layer->c = take(data, &at, head.edges, 8);
    layer->phi = take(data, &at, head.edges, 1);
    if (!check_content(layer, message, length)) goto bad;
    layer->linear_only = layer->all_edges == 0;
    layer->tanh_only = true;
    for (uint64_t k = 0; k < layer->all_edges; ++k)
        layer->tanh_only = layer->tanh_only && layer->phi[k] == PHI_TANH;
    return layer; /* keeps ``data`` as long as the process lives */
bad:
    free(layer);
    free(data);
    return NULL;
}
