import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * What goes into one generated package: the C file that names the headers, and which header's constants go to which class.
 *
 * @param javaPackage the generated package
 * @param module the Maven module that holds it
 * @param top the C file in this folder that includes the headers
 * @param summary the package's description, one sentence
 * @param groups the classes of constants; the first that takes a name has it
 * @param layouts by header, the whole names of the structs and unions to take
 */
record AbiPlan(
        String javaPackage, String module, String top, String summary, List<Group> groups, Map<String, Pattern> layouts) {

    /**
     * One class of constants.
     *
     * @param className the Java class
     * @param header path below {@code headers}
     * @param names whole names of the macros and enumerators to take
     * @param definition how the definition's text begins
     */
    record Group(String className, String header, Pattern names, Pattern definition) {
        Group(String className, String header, String names) {
            this(className, header, Pattern.compile(names), Pattern.compile(""));
        }

        boolean takes(String inHeader, String name, String definedAs) {
            return header.equals(inHeader)
                    && names.matcher(name).matches()
                    && definition.matcher(definedAs).lookingAt();
        }
    }

    /** All but a header's internal names: include guards, feature probes, parts of other macros. */
    private static final String PUBLIC = "[A-Za-z].*";

    static List<AbiPlan> all() {
        return List.of(kvm(), linux());
    }

    private static AbiPlan kvm() {
        var groups = List.of(
                new Group("KvmIoctls", "linux/kvm.h", Pattern.compile(PUBLIC), Pattern.compile("_IO[WR]*\\(")),
                new Group("KvmCaps", "linux/kvm.h", "KVM_CAP_.*"),
                new Group("KvmExits", "linux/kvm.h", "KVM_EXIT_.*"),
                new Group("KvmConstants", "linux/kvm.h", PUBLIC),
                new Group("KvmX86Constants", "asm/kvm.h", PUBLIC),
                new Group("KvmParaConstants", "linux/kvm_para.h", PUBLIC),
                new Group("KvmParaConstants", "asm/kvm_para.h", PUBLIC));
        var layouts = Map.of(
                "linux/kvm.h", Pattern.compile("kvm_.*"),
                "asm/kvm.h", Pattern.compile("kvm_.*"),
                "asm/kvm_para.h", Pattern.compile("kvm_.*"));
        return new AbiPlan(
                "io.thimble.kvm.abi",
                "kvm-bindings",
                "kvm-abi.h",
                "Constants, sizes and offsets of Linux's KVM interface for x86-64",
                groups,
                layouts);
    }

    private static AbiPlan linux() {
        String[][] headers = {
            {"Syscalls", "asm/unistd_64.h"},
            {"Errnos", "asm-generic/errno-base.h"},
            {"Errnos", "asm-generic/errno.h"},
            {"SignalConstants", "asm/signal.h"},
            {"SignalConstants", "asm-generic/signal-defs.h"},
            {"TimeConstants", "linux/time.h"},
            {"FcntlConstants", "linux/fcntl.h"},
            {"FcntlConstants", "asm-generic/fcntl.h"},
            {"FallocConstants", "linux/falloc.h"},
            {"FsConstants", "linux/fs.h"},
            {"StatConstants", "linux/stat.h"},
            {"UioConstants", "linux/uio.h"},
            {"MmanConstants", "linux/mman.h"},
            {"MmanConstants", "asm/mman.h"},
            {"MmanConstants", "asm-generic/mman.h"},
            {"MmanConstants", "asm-generic/mman-common.h"},
            {"MemfdConstants", "linux/memfd.h"},
            {"EventfdConstants", "linux/eventfd.h"},
            {"TimerfdConstants", "linux/timerfd.h"},
            {"EventpollConstants", "linux/eventpoll.h"},
            {"IoUringConstants", "linux/io_uring.h"},
            {"PollConstants", "asm-generic/poll.h"},
            {"SchedConstants", "linux/sched.h"},
            {"SchedConstants", "linux/sched/types.h"},
            {"PrctlConstants", "linux/prctl.h"},
            {"TermbitsConstants", "asm-generic/termbits-common.h"},
            {"TermbitsConstants", "asm-generic/termbits.h"},
            {"TermbitsConstants", "asm-generic/termios.h"},
            {"IoctlsConstants", "asm-generic/ioctls.h"},
            {"IfConstants", "linux/if.h"},
            {"IfTunConstants", "linux/if_tun.h"},
            {"SockiosConstants", "linux/sockios.h"},
            {"BootparamConstants", "asm/bootparam.h"},
            {"SetupDataConstants", "asm/setup_data.h"},
            {"ScreenInfoConstants", "linux/screen_info.h"},
            {"ProcessorFlagsConstants", "asm/processor-flags.h"},
            {"ElfConstants", "linux/elf.h"},
            {"ElfEmConstants", "linux/elf-em.h"},
            {"SerialRegConstants", "linux/serial_reg.h"},
            {"VirtioIdsConstants", "linux/virtio_ids.h"},
            {"VirtioConfigConstants", "linux/virtio_config.h"},
            {"VirtioRingConstants", "linux/virtio_ring.h"},
            {"VirtioMmioConstants", "linux/virtio_mmio.h"},
            {"VirtioPciConstants", "linux/virtio_pci.h"},
            {"VirtioBlkConstants", "linux/virtio_blk.h"},
            {"VirtioNetConstants", "linux/virtio_net.h"},
            {"VirtioVsockConstants", "linux/virtio_vsock.h"},
            {"VirtioBalloonConstants", "linux/virtio_balloon.h"},
            {"VirtioConsoleConstants", "linux/virtio_console.h"},
        };
        var groups = Arrays.stream(headers)
                .map(h -> new Group(h[0], h[1], h[1].equals("asm/unistd_64.h") ? "__NR_.*" : PUBLIC))
                .toList();
        var layouts = new LinkedHashMap<String, Pattern>();
        for (Group group : groups) {
            layouts.put(group.header(), Pattern.compile(".*"));
        }
        layouts.put("linux/time_types.h", Pattern.compile(".*"));
        layouts.put("linux/fs.h", Pattern.compile("fstrim_range|file_clone_range"));
        layouts.put("linux/elf.h", Pattern.compile("elf64_.*"));
        layouts.put("linux/virtio_pci.h", Pattern.compile("virtio_pci_.*"));
        layouts.put("linux/edd.h", Pattern.compile(".*"));
        layouts.put("linux/apm_bios.h", Pattern.compile(".*"));
        layouts.put("video/edid.h", Pattern.compile(".*"));
        layouts.put("asm/ist.h", Pattern.compile(".*"));
        return new AbiPlan(
                "io.thimble.linux.abi",
                "linux-bindings",
                "linux-abi.h",
                "Constants, sizes and offsets of Linux's user-space interface for x86-64, without KVM's",
                groups,
                layouts);
    }
}
