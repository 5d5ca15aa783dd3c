import org.jspecify.annotations.NullMarked;

/** The bundled guest: Linux kernel, guest agent and default root file system. */
@NullMarked
module io.thimble.guest {
    requires static org.jspecify;
    requires org.slf4j;
    requires transitive io.thimble.vmm;

    exports io.thimble.guest;

    provides io.thimble.vmm.spi.BundledGuest with
            io.thimble.guest.LinuxGuest;
}
