import org.jspecify.annotations.NullMarked;

/** KVM's ioctl interface as objects: the system ({@code /dev/kvm}), a VM, a vCPU and its {@code kvm_run} page. */
@NullMarked
module io.thimble.kvm {
    requires static org.jspecify;
    requires transitive io.thimble.linux;

    exports io.thimble.kvm;
    exports io.thimble.kvm.abi;
}
