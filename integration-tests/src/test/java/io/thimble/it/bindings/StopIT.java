package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.kvm.KvmSregs;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmExits;
import io.thimble.linux.Signals;
import io.thimble.linux.abi.Errnos;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@RequiresKvm
@Timeout(60)
class StopIT {
    @ParameterizedTest
    @EnumSource(Asm.Mode.class)
    void hlt_exits_behind_its_instruction(Asm.Mode mode) {
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(mode).hlt().hlt());

            vm.runToHlt();
            assertThat(vm.regs().rip()).isEqualTo(RawVm.CODE + 1);
            vm.runToHlt();
            assertThat(vm.regs().rip()).isEqualTo(RawVm.CODE + 2);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"PROTECTED", "LONG"})
    void a_triple_fault_is_a_shutdown(Asm.Mode mode) {
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(mode).ud2());
            KvmSregs sregs = vm.sregs();
            vm.vcpu().setSregs(sregs.idt(0, 0));

            assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_SHUTDOWN);
            assertThat(vm.kvmRun()).hasToString("KVM_EXIT_SHUTDOWN");
        }
    }

    @Test
    void code_that_is_not_in_memory_is_an_internal_error() {
        try (RawVm vm = new RawVm()) {
            vm.enter(Asm.Mode.PROTECTED);
            vm.vcpu().setRegs(vm.regs().rip(RawVm.MMIO));

            assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_INTERNAL_ERROR);

            assertThat(vm.kvmRun().internalSuberror()).isEqualTo(KvmConstants.KVM_INTERNAL_ERROR_EMULATION);
            assertThat(vm.kvmRun().toString())
                    .startsWith("KVM_EXIT_INTERNAL_ERROR: an instruction that KVM cannot emulate");
        }
    }

    @Test
    void an_instruction_that_kvm_cannot_emulate_is_told_by_its_bytes() {
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(Asm.Mode.LONG)
                    .bytes(0xf3, 0x48, 0x0f, 0xb8, 0xc3) // popcnt rax, rbx
                    .hlt());
            vm.vcpu().setRegs(vm.regs().rbx(0xff00ff));

            int exit = vm.run();

            if (HostKvm.isPvm()) {
                assertThat(exit).isEqualTo(KvmExits.KVM_EXIT_INTERNAL_ERROR);
                assertThat(vm.kvmRun().emulationFailureInsnBytes())
                        .startsWith((byte) 0xf3, (byte) 0x48, (byte) 0x0f, (byte) 0xb8, (byte) 0xc3);
            } else {
                assertThat(exit).isEqualTo(KvmExits.KVM_EXIT_HLT);
                assertThat(vm.regs().rax()).isEqualTo(16);
            }
        }
    }

    @Test
    void immediate_exit_keeps_the_guest_from_running() {
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(Asm.Mode.REAL).hlt());
            vm.kvmRun().setImmediateExit(true);

            assertThat(vm.vcpu().run()).isEqualTo(-Errnos.EINTR);
            assertThat(vm.regs().rip()).isEqualTo(RawVm.CODE);

            vm.kvmRun().setImmediateExit(false);
            vm.runToHlt();
        }
    }

    @ParameterizedTest
    @EnumSource(Asm.Mode.class)
    void a_kick_stops_a_guest_that_spins(Asm.Mode mode) throws Exception {
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(mode).movDx(0x10).out(1).spin());
            for (int i = 0; i < 20; i++) {
                vm.kvmRun().setImmediateExit(false);
                CompletableFuture<Integer> threadId = new CompletableFuture<>();
                CompletableFuture<Integer> result = new CompletableFuture<>();
                CountDownLatch kicked = new CountDownLatch(1);
                boolean first = i == 0;
                Thread.ofPlatform().name("spinning-vcpu").start(() -> {
                    try {
                        if (first) {
                            vm.runToOut(0x10);
                        }
                        threadId.complete(Signals.currentThreadId());
                        result.complete(vm.vcpu().run());
                        // Whoever kicks knows that the thread has not ended.
                        kicked.await();
                    } catch (Throwable t) {
                        threadId.completeExceptionally(t);
                        result.completeExceptionally(t);
                    }
                });
                // Sent before or after the thread enters the guest, it has to leave.
                vm.stop(threadId.get(20, TimeUnit.SECONDS));
                kicked.countDown();

                assertThat(result.get(20, TimeUnit.SECONDS)).isEqualTo(-Errnos.EINTR);
            }
        }
    }
}
