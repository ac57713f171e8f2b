/* Counts the instructions that an AArch64 program executes, by operator and by class: a plugin for qemu-user.
 *
 * QEMU calls `on_block` for every block of instructions that runs. Where the block lies says which operator is at work
 * (see `struct range`), so a tile's instructions are the linear layer's or the attention's, whichever called it. A thread
 * that waits or steals runs outside every range and is not counted, so that counts do not depend on the scheduler.
 *
 * The declarations below are those of QEMU's documented plugin interface, version 1, as far as it is used here: Debian has
 * no package with the header.
 *
 * arguments: out=FILE      where the counts go
 *            ranges=FILE   lines "start end operator" (hexadecimal, hexadecimal, decimal or "+": whoever called);
 *                          without it everything is operator 0
 *            text=HEX      address of the program's first executable segment in its file; ranges need it
 * output:    "class OPERATOR DOTS MEMORY SIMD SCALAR"        executed instructions
 *            "block ADDRESS INSTRUCTIONS OPERATOR RUNS"      addresses as in the program's file
 * build:     gcc -O2 -Wall -Wextra -shared -fPIC count.c -o count.so
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_start_code(void);
uint64_t qemu_plugin_end_code(void);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

int qemu_plugin_version = 1;

enum { DOTS, MEMORY, SIMD, SCALAR, CLASSES };
enum { OPERATORS = 16, THREADS = 256, CALLER = -1, OUTSIDE = -2 };

/* Integer dot products and what they are made of where there is no instruction for one: multiplications of bytes that
 * widen, and sums of neighbours. */
static const struct {
    uint32_t mask, value;
} dots[] = {
    {0x9fa0fc00, 0x0e809400}, /* SDOT, UDOT (vector)     */
    {0xbfe0fc00, 0x0e809c00}, /* USDOT (vector)          */
    {0x9fc0f400, 0x0f80e000}, /* SDOT, UDOT (by element) */
    {0xbf40f400, 0x0f00f000}, /* USDOT, SUDOT (element)  */
    {0xdfe0f400, 0x4e80a400}, /* SMMLA, UMMLA, USMMLA    */
    {0x9f20fc00, 0x0e20c000}, /* SMULL, UMULL            */
    {0x9f20fc00, 0x0e208000}, /* SMLAL, UMLAL            */
    {0x9f00f400, 0x0f00a000}, /* SMULL, UMULL (element)  */
    {0x9f00f400, 0x0f002000}, /* SMLAL, UMLAL (element)  */
    {0x9f3ffc00, 0x0e206800}, /* SADALP, UADALP          */
    {0x9f3ffc00, 0x0e202800}, /* SADDLP, UADDLP          */
};

/* Addresses [start, end) of the program's file that belong to an operator. */
struct range {
    uint64_t start, end;
    int operator;
};

/* A block of instructions as QEMU translated it; the same address can be translated more than once. */
struct block {
    struct block *next;
    uint64_t address;
    int operator; /* or CALLER, OUTSIDE */
    uint32_t classes[CLASSES];
    uint64_t runs[OPERATORS];
};

static struct range *ranges;
static size_t range_count;
static uint64_t text;
static const char *out_path;
static struct block *blocks;
static int current[THREADS];

static int class_of(uint32_t word)
{
    for (size_t i = 0; i < sizeof dots / sizeof *dots; i++)
        if ((word & dots[i].mask) == dots[i].value)
            return DOTS;
    if ((word & 0x0a000000) == 0x08000000)
        return MEMORY;
    return (word & 0x0e000000) == 0x0e000000 ? SIMD : SCALAR;
}

static int by_start(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* `address` is where the code was loaded. */
static int operator_at(uint64_t address, uint64_t bias)
{
    if (!ranges)
        return 0;
    /* A shared library works for whoever called it: memcpy for an operator. */
    if (address < qemu_plugin_start_code() || address >= qemu_plugin_end_code())
        return CALLER;
    address -= bias;
    size_t low = 0, high = range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < range_count && address >= ranges[low].start ? ranges[low].operator : OUTSIDE;
}

static void on_block(unsigned thread, void *data)
{
    struct block *block = data;
    int *operator = &current[thread % THREADS];
    if (block->operator != CALLER)
        *operator = block->operator;
    if (*operator >= 0)
        block->runs[*operator]++;
}

/* QEMU holds a lock around this. */
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    struct block *block = calloc(1, sizeof *block);
    if (!block)
        abort();
    const uint64_t bias = ranges ? qemu_plugin_start_code() - text : 0;
    block->address = qemu_plugin_tb_vaddr(tb) - bias;
    block->operator = operator_at(qemu_plugin_tb_vaddr(tb), bias);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof word);
        block->classes[class_of(word)]++;
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, 0, block);
}

static void on_exit_of_program(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    FILE *out = fopen(out_path, "w");
    if (!out) {
        perror(out_path);
        return;
    }
    uint64_t totals[OPERATORS][CLASSES] = {0};
    for (const struct block *b = blocks; b; b = b->next)
        for (int o = 0; o < OPERATORS; o++) {
            if (!b->runs[o])
                continue;
            unsigned size = 0;
            for (int c = 0; c < CLASSES; c++) {
                totals[o][c] += b->runs[o] * b->classes[c];
                size += b->classes[c];
            }
            if (ranges)
                fprintf(out, "block %llx %u %d %llu\n", (unsigned long long)b->address, size, o,
                        (unsigned long long)b->runs[o]);
        }
    for (int o = 0; o < OPERATORS; o++) {
        fprintf(out, "class %d", o);
        for (int c = 0; c < CLASSES; c++)
            fprintf(out, " %llu", (unsigned long long)totals[o][c]);
        fputc('\n', out);
    }
    fclose(out);
}

static int read_ranges(const char *path)
{
    FILE *in = fopen(path, "r");
    if (!in) {
        perror(path);
        return -1;
    }
    unsigned long long start, end;
    char operator[16];
    while (fscanf(in, "%llx %llx %15s", &start, &end, operator) == 3) {
        ranges = realloc(ranges, (range_count + 1) * sizeof *ranges);
        if (!ranges)
            abort();
        int index = *operator == '+' ? CALLER : atoi(operator);
        if (index >= OPERATORS) {
            fprintf(stderr, "%s: operator %d, at most %d\n", path, index, OPERATORS - 1);
            return -1;
        }
        ranges[range_count++] = (struct range){start, end, index};
    }
    fclose(in);
    qsort(ranges, range_count, sizeof *ranges, by_start);
    return 0;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return -1;
        value++;
        if (!strncmp(argv[i], "out=", 4))
            out_path = strdup(value);
        else if (!strncmp(argv[i], "text=", 5))
            text = strtoull(value, NULL, 16);
        else if (strncmp(argv[i], "ranges=", 7) || read_ranges(value))
            return -1;
    }
    if (!out_path) {
        fputs("count: out=FILE is missing\n", stderr);
        return -1;
    }
    for (int i = 0; i < THREADS; i++)
        current[i] = OUTSIDE;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_program, NULL);
    return 0;
}
