import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.PaddingLayout;
import java.lang.foreign.SequenceLayout;
import java.lang.foreign.StructLayout;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Lists the members of a struct: walks its C declaration and jextract's layout side by side, which gives each member both
 * its C path and its offset, and stops at any disagreement.
 */
final class StructMembers {
    private static final Pattern MEMBER = Pattern.compile("(.*?)(\\w+)((?:\\[\\d*])*)( : \\d+)?;");
    private static final Pattern CLOSE = Pattern.compile("}(?: (\\w+))?((?:\\[\\d*])*);");

    /**
     * One member.
     *
     * @param path as in {@code offsetof}, where an array of structs contributes its first element
     * @param type the C type without array dimensions
     * @param dimensions {@code [4][2]}, or empty
     * @param count elements of all dimensions; -1 if not an array, 0 for a flexible one
     */
    record Member(String path, String type, String dimensions, long offset, long size, long count, boolean group) {}

    private record Node(String type, String name, String dimensions, boolean bitField, List<Node> children) {}

    private final List<Member> members = new ArrayList<>();

    private StructMembers() {}

    static List<Member> of(List<String> declaration, GroupLayout layout) {
        Iterator<String> lines = declaration.iterator();
        lines.next();
        var walker = new StructMembers();
        walker.walk("", 0, parse(lines, "").children(), layout);
        return walker.members;
    }

    private static Node parse(Iterator<String> lines, String kind) {
        List<Node> children = new ArrayList<>();
        while (lines.hasNext()) {
            String line = lines.next().strip();
            if (line.startsWith("}")) {
                Matcher close = CLOSE.matcher(line);
                return close.matches()
                        ? new Node(kind, close.group(1) == null ? "" : close.group(1), close.group(2), false, children)
                        : new Node(kind, "", "", false, children);
            }
            if (line.endsWith("{")) {
                children.add(parse(lines, line.substring(0, line.length() - 1).strip()));
                continue;
            }
            Matcher member = MEMBER.matcher(line);
            if (!member.matches()) {
                throw new IllegalStateException("not understood: " + line);
            }
            children.add(new Node(
                    member.group(1).strip(), member.group(2), member.group(3), member.group(4) != null, null));
        }
        throw new IllegalStateException("declaration without end");
    }

    private void walk(String prefix, long base, List<Node> nodes, GroupLayout group) {
        Iterator<Node> expected =
                nodes.stream().filter(node -> !node.bitField()).iterator();
        long offset = base;
        for (MemoryLayout layout : group.memberLayouts()) {
            if (!(layout instanceof PaddingLayout)) {
                member(prefix, offset, expected.next(), layout);
            }
            if (group instanceof StructLayout) {
                offset += layout.byteSize();
            }
        }
        if (expected.hasNext()) {
            throw new IllegalStateException(prefix + expected.next().name() + " is not in the layout");
        }
    }

    private void member(String prefix, long offset, Node node, MemoryLayout layout) {
        if (node.name().isEmpty()) {
            walk(prefix, offset, node.children(), (GroupLayout) layout);
            return;
        }
        String path = prefix + node.name();
        // jextract drops the names of arrays where it lowers the alignment of a packed struct
        if (!layout.name().orElse(node.name()).equals(node.name())) {
            throw new IllegalStateException(path + " is " + layout.name() + " in the layout");
        }
        long count = node.dimensions().isEmpty() ? -1 : 1;
        MemoryLayout element = layout;
        while (element instanceof SequenceLayout sequence) {
            count *= sequence.elementCount();
            element = sequence.elementLayout();
        }
        boolean isGroup = element instanceof GroupLayout;
        if (layout.byteSize() == 0 && isGroup && count < 0) {
            return; // the empty struct with which the kernel's macros introduce a flexible array
        }
        members.add(new Member(path, node.type(), node.dimensions(), offset, layout.byteSize(), count, isGroup));
        if (node.children() != null) {
            String inside = path + "[0]".repeat(node.dimensions().split("\\[", -1).length - 1) + ".";
            walk(inside, offset, node.children(), (GroupLayout) element);
        }
    }
}
