import org.jspecify.annotations.NullMarked;

/** The {@code thimble} launcher: runs a VM from the command line, and tells what a host can do. */
@NullMarked
module io.thimble.cli {
    requires static org.jspecify;
    requires org.slf4j;
    requires io.thimble.kvm;
    requires io.thimble.linux;
    requires io.thimble.vmm;

    uses io.thimble.vmm.spi.BundledGuest;

    provides org.slf4j.spi.SLF4JServiceProvider with
            io.thimble.cli.log.StderrLogging;
}
