import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The text of one vendored header: what its macros say, and in which order it introduces names. */
final class HeaderText {
    private static final Pattern DEFINE = Pattern.compile("(?m)^[ \t]*#[ \t]*define[ \t]+(\\w+)(?=[ \t\n]|$)(.*)$");

    private final String text;
    private final Map<String, String> definitions = new HashMap<>();
    private final Map<String, Integer> positions = new HashMap<>();

    HeaderText(Path header) throws IOException {
        text = Files.readString(header)
                .replaceAll("(?s)/\\*.*?\\*/", " ")
                .replaceAll("//[^\n]*", "")
                .replaceAll("\\\\\n", " ");
        Matcher define = DEFINE.matcher(text);
        while (define.find()) {
            String definition = define.group(2).strip().replaceAll("[ \t]+", " ");
            if (definition.isEmpty()) {
                continue;
            }
            positions.putIfAbsent(define.group(1), define.start());
            definitions.merge(define.group(1), definition, (first, second) -> first.equals(second) ? first : "");
        }
    }

    /** The macro's replacement text; empty for an enumerator, and where the header has several alternatives. */
    String definition(String name) {
        String definition = definitions.getOrDefault(name, "");
        return definition.equals(name) ? "" : definition;
    }

    /** The macros without parameters that stand for something. */
    Set<String> macros() {
        return definitions.keySet();
    }

    /** Where the header introduces a name, to sort by. */
    int position(String name) {
        return positions.computeIfAbsent(name, n -> {
            Matcher word = Pattern.compile("\\b" + Pattern.quote(n) + "\\b").matcher(text);
            return word.find() ? word.start() : Integer.MAX_VALUE;
        });
    }
}
