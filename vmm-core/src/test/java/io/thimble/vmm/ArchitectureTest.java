package io.thimble.vmm;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.foreign.Linker;
import org.junit.jupiter.api.Test;

/** Which package may know which: the arrows of docs/architecture.md. */
class ArchitectureTest {
    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("io.thimble");

    @Test
    void devices_know_their_bus_and_nothing_of_kvm_or_the_machine() {
        noClasses()
                .that()
                .resideInAnyPackage("..vmm.legacy..", "..vmm.bus..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "io.thimble.kvm..", "..vmm.machine..", "..vmm.vcpu..", "..vmm.x86..", "..vmm.boot..")
                .check(CLASSES);
    }

    @Test
    void boot_loaders_know_memory_and_nothing_of_kvm_or_the_machine() {
        noClasses()
                .that()
                .resideInAPackage("..vmm.boot..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.thimble.kvm..", "..vmm.machine..", "..vmm.vcpu..", "..vmm.x86..")
                .check(CLASSES);
    }

    @Test
    void the_vcpu_loop_knows_buses_and_not_what_hangs_on_them() {
        noClasses()
                .that()
                .resideInAPackage("..vmm.vcpu..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("..vmm.machine..", "..vmm.legacy..", "..vmm.boot..", "..vmm.agent..")
                .check(CLASSES);
    }

    @Test
    void virtio_knows_memory_and_system_calls_and_nothing_of_kvm_or_the_machine() {
        classes()
                .that()
                .resideInAPackage("io.thimble.virtio..")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "java..", "io.thimble.virtio..", "io.thimble.memory..", "io.thimble.linux..", "org.jspecify..")
                .check(CLASSES);
    }

    @Test
    void queues_know_no_device_and_devices_no_transport() {
        noClasses()
                .that()
                .resideInAPackage("io.thimble.virtio.queue..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.thimble.virtio.device..", "io.thimble.virtio.transport..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("io.thimble.virtio..")
                .and()
                .resideOutsideOfPackage("io.thimble.virtio.transport..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.thimble.virtio.transport..")
                .check(CLASSES);
    }

    @Test
    void guest_memory_is_pure_java() {
        classes()
                .that()
                .resideInAPackage("io.thimble.memory..")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage("java..", "io.thimble.memory..", "org.jspecify..")
                .check(CLASSES);
    }

    @Test
    void only_the_linux_bindings_call_native_code() {
        noClasses()
                .that(not(resideInAnyPackage("io.thimble.linux..")))
                .should()
                .dependOnClassesThat()
                .areAssignableTo(Linker.class)
                .check(CLASSES);
    }

    @Test
    void the_machine_is_reached_through_the_public_api() {
        noClasses()
                .that()
                .resideInAnyPackage("..vmm.boot..", "..vmm.bus..", "..vmm.event..", "..vmm.agent..", "..vmm.x86..")
                .should()
                .dependOnClassesThat()
                .haveSimpleName("MicroVm")
                .check(CLASSES);
    }
}
