/*
 * pvh.c: reads the PVH start info (Xen's hvm_start_info, version 0 and 1) into boot_info.
 */
#include <arch/arch.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include "kernel/boot/boot_internal.h"

#define PVH_MAGIC 0x336ec578u
#define LOW_RESERVED 0x10000ul /* the firmware's data and our trampoline */

struct pvh_start_info_page {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    uint64_t memory_map; /* version 1 */
    uint32_t memory_map_count, reserved;
};

struct pvh_module {
    uint64_t address, size, command_line, reserved;
};

struct pvh_memory {
    uint64_t address, size;
    uint32_t type, reserved;
};

struct boot_info boot_info;
extern char image_start[], image_end[];

static void ram_add(paddr_t start, paddr_t end)
{
    unsigned at = boot_info.ram_count;

    start = ALIGN_UP(MAX(start, LOW_RESERVED), PAGE_SIZE);
    end = ALIGN_DOWN(end, PAGE_SIZE);
    if (start >= end || at == ARRAY_SIZE(boot_info.ram))
        return;
    for (; at > 0 && boot_info.ram[at - 1].start > start; at--)
        boot_info.ram[at] = boot_info.ram[at - 1];
    boot_info.ram[at] = (struct memory_region){start, end};
    boot_info.ram_count++;
}

void boot_info_read(uint32_t start_info)
{
    const struct pvh_start_info_page *info = phys_to_virt(start_info);
    const struct pvh_memory *map = phys_to_virt(info->memory_map);

    if (info->magic != PVH_MAGIC || info->version < 1)
        panic("the loader gave no PVH start info of version 1: start with QEMU's -kernel");
    for (unsigned i = 0; i < info->memory_map_count; i++)
        if (map[i].type == 1)
            ram_add(map[i].address, map[i].address + map[i].size);
    if (info->command_line)
        boot_info.command_line = phys_to_virt(info->command_line);
    if (info->module_count) {
        const struct pvh_module *m = phys_to_virt(info->modules);

        boot_info.archive = m->address;
        boot_info.archive_end = m->address + m->size;
    }
    boot_info.rsdp = info->rsdp;
    boot_info.image_start = virt_to_phys(image_start);
    boot_info.image_end = virt_to_phys(image_end);
}
