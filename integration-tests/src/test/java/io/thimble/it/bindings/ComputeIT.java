package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Programs that compute, so that more of the processor than its exits is seen to work. */
@RequiresKvm
class ComputeIT {
    @ParameterizedTest
    @CsvSource({"0, 0", "1, 1", "10, 55", "24, 46368"})
    void real_mode_computes_a_fibonacci_number(int n, int expected) {
        Asm program = new Asm(Asm.Mode.REAL)
                .movDx(0x3f8)
                .bytes(0x31, 0xc0) // xor ax, ax
                .bytes(0xbb, 0x01, 0x00) // mov bx, 1
                .movEcx(n)
                .bytes(0xe3, 0x07) // jcxz over the loop
                .bytes(0x93) // xchg ax, bx
                .bytes(0x01, 0xc3) // add bx, ax
                .bytes(0x49) // dec cx
                .bytes(0x75, 0xfa) // jnz to xchg
                .bytes(0x90) // nop
                .out(2)
                .hlt();
        try (RawVm vm = new RawVm()) {
            vm.load(program);

            assertThat(vm.runToOut(0x3f8)).isEqualTo(expected);
            vm.runToHlt();
        }
    }

    @ParameterizedTest
    @CsvSource({"0x123456789, 0x987654321", "-1, 3"})
    void long_mode_multiplies_64_bits(long a, long b) {
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(Asm.Mode.LONG)
                    .bytes(0x48, 0x0f, 0xaf, 0xc3) // imul rax, rbx
                    .bytes(0x4c, 0x8d, 0x44, 0x18, 0x7f) // lea r8, [rax + rbx + 127]
                    .hlt());
            vm.vcpu().setRegs(vm.regs().rax(a).rbx(b));

            vm.runToHlt();

            assertThat(vm.regs().rax()).isEqualTo(a * b);
            assertThat(vm.regs().r8()).isEqualTo(a * b + b + 127);
        }
    }
}
