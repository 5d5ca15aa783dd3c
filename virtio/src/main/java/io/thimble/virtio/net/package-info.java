/** The network device (virtio 1.2, section 5.1), over a back end that carries its frames: a TAP, a switch, a process. */
@NullMarked
package io.thimble.virtio.net;

import org.jspecify.annotations.NullMarked;
