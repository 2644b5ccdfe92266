/* Symbols of one ELF file.
 *
 * The file is mapped read-only and every offset in it is checked: it may be
 * damaged, or of anybody's making.  Only files of this program's own class
 * and machine are read.  .dynsym is searched first; .symtab, when it was not
 * stripped, serves for static interpreters that export nothing.
 */
#include "attach.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#define OUR_NAME "x86-64"
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#define OUR_NAME "aarch64"
#endif

struct hr_elf {
    const unsigned char *bytes; /* owned mapping */
    size_t size;
    const Elf64_Ehdr *header; /* points into bytes, as all below */
    const Elf64_Phdr *segments;
    const Elf64_Shdr *sections;
    size_t segment_count, section_count;
};

const char *
hr_elf_machine(void)
{
    return OUR_NAME;
}

static int
inside(const struct hr_elf *elf, uint64_t offset, uint64_t size)
{
    return offset <= elf->size && size <= elf->size - offset;
}

static enum hr_elf_result
read_headers(struct hr_elf *elf)
{
    if (elf->size < sizeof(Elf64_Ehdr) ||
        memcmp(elf->bytes, ELFMAG, SELFMAG) != 0) {
        return HR_ELF_NOT_ELF;
    }
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)elf->bytes;
    if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != OUR_MACHINE) {
        return HR_ELF_ARCHITECTURE;
    }
    elf->header = header;
    if (header->e_phentsize == sizeof(Elf64_Phdr) &&
        header->e_phoff % 8 == 0 &&
        inside(elf, header->e_phoff,
               (uint64_t)header->e_phnum * sizeof(Elf64_Phdr))) {
        elf->segments = (const Elf64_Phdr *)(elf->bytes + header->e_phoff);
        elf->segment_count = header->e_phnum;
    }
    if (header->e_shentsize == sizeof(Elf64_Shdr) &&
        header->e_shoff % 8 == 0 && header->e_shoff != 0 &&
        inside(elf, header->e_shoff,
               (uint64_t)header->e_shnum * sizeof(Elf64_Shdr))) {
        elf->sections = (const Elf64_Shdr *)(elf->bytes + header->e_shoff);
        elf->section_count = header->e_shnum;
    }
    return HR_ELF_OK;
}

enum hr_elf_result
hr_elf_open(struct hr_elf **result, const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat about;
    if (descriptor < 0) {
        return HR_ELF_UNREADABLE;
    }
    if (fstat(descriptor, &about) < 0 || !S_ISREG(about.st_mode) ||
        about.st_size < (off_t)sizeof(Elf64_Ehdr)) {
        close(descriptor);
        return HR_ELF_NOT_ELF;
    }
    void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE,
                       descriptor, 0);
    close(descriptor);
    if (bytes == MAP_FAILED) {
        return HR_ELF_UNREADABLE;
    }
    struct hr_elf *elf = calloc(1, sizeof(*elf));
    if (elf == NULL) {
        munmap(bytes, (size_t)about.st_size);
        return HR_ELF_UNREADABLE;
    }
    elf->bytes = bytes;
    elf->size = (size_t)about.st_size;
    enum hr_elf_result status = read_headers(elf);
    if (status != HR_ELF_OK) {
        hr_elf_close(elf);
        return status;
    }
    *result = elf;
    return HR_ELF_OK;
}

void
hr_elf_close(struct hr_elf *elf)
{
    if (elf != NULL) {
        munmap((void *)(uintptr_t)elf->bytes, elf->size);
        free(elf);
    }
}

static int
search_table(const struct hr_elf *elf, const Elf64_Shdr *table,
             const char *name, struct hr_symbol *found)
{
    if (table->sh_link >= elf->section_count || table->sh_offset % 8 != 0 ||
        !inside(elf, table->sh_offset, table->sh_size)) {
        return 0;
    }
    const Elf64_Shdr *strings = &elf->sections[table->sh_link];
    if (!inside(elf, strings->sh_offset, strings->sh_size)) {
        return 0;
    }
    const char *text = (const char *)elf->bytes + strings->sh_offset;
    const Elf64_Sym *symbols =
        (const Elf64_Sym *)(elf->bytes + table->sh_offset);
    size_t count = table->sh_size / sizeof(Elf64_Sym);
    size_t length = strlen(name);
    for (size_t i = 0; i < count; i++) {
        const Elf64_Sym *symbol = &symbols[i];
        if (symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0 ||
            symbol->st_name >= strings->sh_size ||
            strings->sh_size - symbol->st_name <= length ||
            memcmp(text + symbol->st_name, name, length + 1) != 0) {
            continue;
        }
        unsigned type = ELF64_ST_TYPE(symbol->st_info);
        if (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE) {
            found->address = symbol->st_value;
            found->size = symbol->st_size;
            return 1;
        }
    }
    return 0;
}

int
hr_elf_symbol(const struct hr_elf *elf, const char *name,
              struct hr_symbol *symbol)
{
    static const Elf64_Word kinds[] = {SHT_DYNSYM, SHT_SYMTAB};
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < elf->section_count; i++) {
            if (elf->sections[i].sh_type == kinds[kind] &&
                search_table(elf, &elf->sections[i], name, symbol)) {
                return 1;
            }
        }
    }
    return 0;
}

uint64_t
hr_elf_bias(const struct hr_elf *elf, uint64_t start)
{
    if (elf->header->e_type == ET_EXEC) {
        return 0;
    }
    for (size_t i = 0; i < elf->segment_count; i++) {
        const Elf64_Phdr *segment = &elf->segments[i];
        if (segment->p_type == PT_LOAD) {
            /* The first one maps the file's start. */
            return start - (segment->p_vaddr - segment->p_offset);
        }
    }
    return start;
}

const void *
hr_elf_data(const struct hr_elf *elf, uint64_t address, size_t size)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        const Elf64_Phdr *segment = &elf->segments[i];
        if (segment->p_type != PT_LOAD || address < segment->p_vaddr ||
            address - segment->p_vaddr > segment->p_filesz ||
            size > segment->p_filesz - (address - segment->p_vaddr)) {
            continue;
        }
        uint64_t offset = segment->p_offset + (address - segment->p_vaddr);
        return inside(elf, offset, size) ? elf->bytes + offset : NULL;
    }
    return NULL;
}

const unsigned char *
hr_elf_bytes(const struct hr_elf *elf, size_t *size)
{
    *size = elf->size;
    return elf->bytes;
}
