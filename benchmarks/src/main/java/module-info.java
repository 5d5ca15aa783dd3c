/** Measurements side by side with peers. */
module io.thimble.benchmarks {
    requires io.thimble.virtio;
    requires io.thimble.virtio.testing;
    requires io.thimble.vmm;

    uses io.thimble.vmm.spi.BundledGuest;
}
