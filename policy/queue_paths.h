/* queue_paths.h - private to mailhooks-queue: are the places that it trusts root's alone? One
 * thread. */
#pragma once

/* NULL: only root can put anything into this directory, or another one in its place, or it is not
 * there. Else the directory on the way whose owner or mode lets somebody else, malloc'ed. */
char *queue_paths_unsafe(const char *directory);
