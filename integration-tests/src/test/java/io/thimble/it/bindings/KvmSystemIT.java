package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.CpuidEntry;
import io.thimble.kvm.Kvm;
import io.thimble.kvm.KvmException;
import io.thimble.kvm.KvmVcpu;
import io.thimble.kvm.KvmVm;
import io.thimble.kvm.abi.KvmCaps;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

@RequiresKvm
class KvmSystemIT {
    private static final Pattern KVM_FILE = Pattern.compile("/dev/kvm|anon_inode:kvm-.*");
    private static final int KVM_SIGNATURE = 0x4000_0000;

    @Test
    void tells_what_the_host_has() {
        try (Kvm kvm = Kvm.open()) {
            assertThat(kvm.apiVersion()).isEqualTo(12);
            assertThat(kvm.checkExtension(KvmCaps.KVM_CAP_USER_MEMORY)).isOne();
            assertThat(kvm.checkExtension(100_000)).isZero();
            assertThat(kvm.maxVcpus()).isGreaterThanOrEqualTo(1);
            assertThat(kvm.vcpuMmapSize()).isGreaterThanOrEqualTo(2 * 4096);
            assertThat(kvm.msrIndexList()).contains(0x10, 0x174);
            assertThat(kvm.msrFeatureIndexList()).doesNotHaveDuplicates();
            assertThat(kvm.emulatedCpuid()).isNotNull();
            assertThat(kvm.supportedCpuid())
                    .filteredOn(leaf -> leaf.function() == KVM_SIGNATURE)
                    .extracting(CpuidEntry::ebx)
                    .containsExactly(0x4b4d564b); // "KVMK"
        }
    }

    @Test
    void a_vm_outlives_the_system() {
        Kvm kvm = Kvm.open();
        KvmVm vm = kvm.createVm();
        kvm.close();
        try (vm;
                KvmVcpu vcpu = vm.createVcpu(0)) {
            assertThat(vcpu.kvmRun().exitReason()).isZero();
        }
        assertThatIllegalStateException().isThrownBy(kvm::createVm).withMessage("/dev/kvm is closed");
    }

    @Test
    void names_the_vcpu_that_exists_already_or_cannot() {
        try (RawVm vm = new RawVm()) {
            assertThatThrownBy(() -> vm.vm().createVcpu(0))
                    .isInstanceOf(KvmException.class)
                    .hasMessage("KVM_CREATE_VCPU 0: EEXIST (File exists)");
            assertThatThrownBy(() -> vm.vm().createVcpu(1 << 20))
                    .isInstanceOf(KvmException.class)
                    .hasMessage("KVM_CREATE_VCPU 1048576: EINVAL (Invalid argument)");
        }
    }

    @Test
    void refuses_use_after_close() {
        RawVm vm = new RawVm();
        vm.close();
        vm.vcpu().close();

        assertThatIllegalStateException().isThrownBy(() -> vm.vcpu().run()).withMessage("kvm-vcpu:0 is closed");
        assertThatIllegalStateException().isThrownBy(() -> vm.kvmRun().exitReason());
    }

    @Test
    void closed_vms_leave_no_descriptor_and_no_mapping() throws IOException {
        int before = kvmDescriptors();
        List<String> mappedBefore = kvmMappings();
        for (int i = 0; i < 20; i++) {
            try (RawVm vm = new RawVm()) {
                vm.load(new Asm(Asm.Mode.REAL).hlt()).runToHlt();
                assertThat(kvmDescriptors()).isEqualTo(before + 3);
            }
        }
        assertThat(kvmDescriptors()).isEqualTo(before);
        assertThat(kvmMappings()).isEqualTo(mappedBefore);
    }

    private static int kvmDescriptors() throws IOException {
        int count = 0;
        try (var fds = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path fd : fds) {
                try {
                    count += KVM_FILE.matcher(Files.readSymbolicLink(fd).toString())
                                    .matches()
                            ? 1
                            : 0;
                } catch (NoSuchFileException e) {
                    assertThat(Files.exists(fd)).isFalse();
                }
            }
        }
        return count;
    }

    private static List<String> kvmMappings() throws IOException {
        try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains("kvm-vcpu")).toList();
        }
    }
}
