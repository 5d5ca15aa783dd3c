/** Programs against Thimble's public API. */
module io.thimble.examples {
    requires io.thimble.vmm;
}
