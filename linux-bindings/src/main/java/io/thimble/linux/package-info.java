/** Linux system calls: -errno inside, owned file descriptors, one typed exception at the edge. */
package io.thimble.linux;
