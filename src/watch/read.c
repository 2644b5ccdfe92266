/* Reading one file the way the watcher does, for a caller that wants it now.
 */
#include "internal.h"

#include <string.h>

#define MAX_SIZE ((size_t)32 << 20)

void
hr_watch_read(const char *path, size_t max_size, struct hr_change *change)
{
    struct hr_content content = {0};
    if (max_size == 0) {
        max_size = MAX_SIZE;
    }
    switch (hr_content_read(path, 1, max_size, 0, &content)) {
    case HR_CONTENT_READ:
        change->kind = HR_CHANGE_CONTENT;
        change->text = content.text;
        change->size = content.size;
        change->hash = content.hash;
        change->saved_ns = content.saved_ns;
        break;
    case HR_CONTENT_MISSING:
        change->kind = HR_CHANGE_DELETED;
        break;
    default:
        change->kind = HR_CHANGE_REFUSED;
        change->error = hr_content_refusal(&content, path, max_size);
        if (change->error == NULL) {
            change->error = strdup("out of memory");
        }
    }
}
