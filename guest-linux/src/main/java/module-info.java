import org.jspecify.annotations.NullMarked;

/** The bundled guest: Linux kernel, guest agent and default root file system. */
@NullMarked
module io.thimble.guest {
    requires static org.jspecify;
    requires org.slf4j;
    requires io.thimble.vmm;
}
