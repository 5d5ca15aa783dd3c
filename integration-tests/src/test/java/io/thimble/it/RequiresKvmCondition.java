package io.thimble.it;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/** Decides on tests with {@link RequiresKvm}. */
final class RequiresKvmCondition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        String hardware = AnnotationSupport.findAnnotation(context.getElement(), RequiresKvm.class)
                .map(RequiresKvm::hardware)
                .orElse("");
        return decide(HostKvm.missing(), HostKvm.isRequired(), hardware, HostKvm.isPvm());
    }

    /**
     * @param missing why there is no KVM; empty if there is
     * @param required whether the lack of KVM is a failure
     * @param hardware why the test needs VMX or SVM; empty if it does not
     * @param pvm whether the host has kvm-pvm
     * @throws IllegalStateException if KVM is required and missing, which fails the test
     */
    static ConditionEvaluationResult decide(String missing, boolean required, String hardware, boolean pvm) {
        if (!missing.isEmpty()) {
            if (required) {
                throw new IllegalStateException(HostKvm.REQUIRE + "=1, but " + missing);
            }
            return ConditionEvaluationResult.disabled(missing);
        }
        if (pvm && !hardware.isEmpty()) {
            return ConditionEvaluationResult.disabled("this host has kvm-pvm: " + hardware);
        }
        return ConditionEvaluationResult.enabled("KVM is here");
    }
}
