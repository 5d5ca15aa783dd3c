import org.jspecify.annotations.NullMarked;

/** MicroVMs inside the JVM: the public API ({@code MicroVm}) and, unexported, the machine that stands behind it. */
@NullMarked
module io.thimble.vmm {
    requires static org.jspecify;
    requires org.slf4j;
    requires io.thimble.kvm;
    requires io.thimble.linux;
    requires io.thimble.memory;
    requires transitive io.thimble.virtio;

    exports io.thimble.vmm;
    exports io.thimble.vmm.spi;

    uses io.thimble.vmm.spi.BundledGuest;
    uses io.thimble.vmm.spi.KernelDecoder;
}
