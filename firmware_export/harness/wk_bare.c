/* The exported code on a bare machine under QEMU: samples from a file of the host by semihosting,
   lines like those of `wk_check events` back, then what it cost. No C library: the three functions
   below are all that the exported code asks for. */
#include <stddef.h>
#include <stdint.h>

#include "wakeword.h"

#define CHUNK 160
#define PAINT 0xA5A5A5A5u

int main(void);
void start(void);
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

extern uint32_t stack_low[];
extern uint32_t paint_high[]; /* below what `start` itself uses */
extern uint32_t stack_high[];
extern uint32_t bss_low[];
extern uint32_t bss_high[];

static wk_detector detector;

/* ---- what the exported code needs of a C library ---- */

void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3u) == 0u) {
        for (; size >= 4u; size -= 4u, t += 4, f += 4) {
            *(volatile uint32_t *)(void *)t = *(const volatile uint32_t *)(const void *)f;
        }
    }
    while (size-- > 0u) {
        *(volatile uint8_t *)t++ = *(const volatile uint8_t *)f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t <= f || t >= f + size) {
        return memcpy(to, from, size);
    }
    while (size-- > 0u) {
        *(volatile uint8_t *)(t + size) = f[size];
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    for (volatile uint8_t *t = to; size > 0u; size--) {
        *t++ = (uint8_t)value;
    }
    return to;
}

/* ---- the machine ---- */

#if defined(__riscv)
/* The three instructions mean a call to the host only together, and uncompressed. */
uintptr_t semihost(uintptr_t call, const void *argument);
__asm__(".section .text.semihost\n.balign 16\n.globl semihost\nsemihost:\n"
        ".option push\n.option norvc\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n"
        ".option pop\nret\n.text\n");

static uint32_t now(void)
{
    uintptr_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return (uint32_t)count;
}

static uint32_t passed(uint32_t begin, uint32_t end)
{
    return end - begin;
}

static void begin_count(void)
{
}

__asm__(".section .init\n.globl _start\n_start:\n"
        ".option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
        "la sp, stack_high\nj start\n");
#else
static uintptr_t semihost(uintptr_t call, const void *argument)
{
    register uintptr_t r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* SysTick counts down 24 bits. */
#define SYSTICK ((volatile uint32_t *)0xE000E010u)

static uint32_t now(void)
{
    return SYSTICK[2];
}

static uint32_t passed(uint32_t begin, uint32_t end)
{
    return (begin - end) & 0xFFFFFFu;
}

static void begin_count(void)
{
    SYSTICK[1] = 0xFFFFFFu;
    SYSTICK[2] = 0u;
    SYSTICK[0] = 5u;
}

__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {
    stack_high,
    (const void *)start,
};
#endif

static void finish(uint32_t failed)
{
    /* Any reason but "application exit" makes QEMU end with 1. */
    uintptr_t block[2] = {failed ? 0x20023u : 0x20026u, failed};
#if defined(__riscv) && __riscv_xlen == 64
    semihost(0x18, block);
#else
    semihost(0x18, (const void *)block[0]);
#endif
    for (;;) {
    }
}

/* ---- text ---- */

static void say(const char *text)
{
    semihost(0x04, text);
}

static void say_number(uint64_t value)
{
    char digits[21];
    char *at = digits + 20;
    *at = '\0';
    do {
        *--at = (char)('0' + (int)(value % 10u));
        value /= 10u;
    } while (value > 0u);
    say(at);
}

static void say_fact(const char *name, uint64_t value)
{
    say(name);
    say_number(value);
    say("\n");
}

/* ---- the check ---- */

static uint32_t stack_used(void)
{
    uint32_t *at = stack_low;
    while (at < stack_high && *at == PAINT) {
        at++;
    }
    return (uint32_t)((uintptr_t)stack_high - (uintptr_t)at);
}

/* FNV-1a over every smoothed probability; not in the frame of main, whose bytes count as stack. */
static uint32_t probs = 2166136261u;

__attribute__((noinline)) static void mix_probs(void)
{
    for (uint32_t word = 0u; word < WK_WORDS; word++) {
        probs = (probs ^ wk_prob_q16(&detector, word)) * 16777619u;
    }
}

int main(void)
{
    static int16_t samples[CHUNK];
    static const char name[] = "samples.raw";
    uintptr_t open[3] = {(uintptr_t)name, 1u, sizeof name - 1u};
    uintptr_t file = semihost(0x01, open);
    uint64_t total = 0u;
    uint32_t most = 0u;
    if (file == (uintptr_t)-1 || wk_init(&detector) != WK_OK) {
        return 1;
    }
    begin_count();
    for (;;) {
        uintptr_t read[3] = {file, (uintptr_t)samples, sizeof samples};
        size_t count = (sizeof samples - semihost(0x06, read)) / sizeof *samples;
        wk_status status;
        size_t at = 0u;
        if (count == 0u) {
            break;
        }
        do {
            wk_detection found;
            size_t used = 0u;
            uint32_t begin = now();
            status = wk_feed(&detector, samples + at, count - at, &used, &found);
            uint32_t spent = passed(begin, now());
            total += spent;
            most = spent > most ? spent : most;
            at += used;
            mix_probs();
            if (status == WK_HEARD) {
                say_number(found.sample_index);
                say(" ");
                say(wk_word(found.word));
                say(" ");
                say_number(found.prob_q16);
                say("\n");
            } else if (status != WK_OK) {
                return 1;
            }
        } while (at < count || status == WK_HEARD);
    }
    say_fact("# samples ", detector.sample_index);
    say_fact("# ticks ", total);
    say_fact("# most ", most);
    say_fact("# state ", sizeof detector);
    say_fact("# stack ", stack_used());
    say_fact("# probs ", probs);
    return 0;
}

void start(void)
{
    for (uint32_t *at = bss_low; at < bss_high; at++) {
        *at = 0u;
    }
#if !defined(__riscv)
    /* Let the vector unit of a Cortex-M55 be used; other cores ignore it. */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\nisb");
#endif
    /* All but what is in use just now. */
    for (volatile uint32_t *at = stack_low; at < paint_high; at++) {
        *at = PAINT;
    }
    finish((uint32_t)main());
}
