package io.thimble.it.net;

import io.thimble.vmm.MicroVm;
import io.thimble.vmm.Network;
import java.time.Duration;

/** A program with a VM behind passt, for tests that run it as another user. Arguments: the published port, and a script for the guest. */
final class PasstGuest {
    private PasstGuest() {}

    public static void main(String[] arguments) throws InterruptedException {
        try (MicroVm vm = MicroVm.builder()
                .console(System.out)
                .network(Network.passt().withPublished(Network.Published.parse(arguments[0])))
                .command("sh", "-c", arguments[1])
                .start()) {
            boolean _ = vm.await(Duration.ofMinutes(10)).isPresent();
        }
    }
}
