"""Calls that mypy refuses; each line names the kind of its error. ``tests/test_public_api.py`` compares."""

import runspan

runspan.Settings(capture_contents="none")  # call-arg
runspan.Settings("none")  # call-arg
runspan.Settings(capture_content="yes")  # arg-type
runspan.Settings(detail="maximal")  # arg-type
runspan.Settings(content_form="text")  # arg-type
runspan.Settings(metadata_keys="user_id")  # arg-type
runspan.Settings(semconv="both")  # arg-type
runspan.Settings(returned_tool_errors="marked")  # arg-type
runspan.configure("shop")  # call-arg
runspan.configure(protocol="htp")  # arg-type
runspan.configure(nested_model_spans="bare")  # arg-type
runspan.configure(durability="always")  # arg-type
runspan.configure(exit_timeout="4 s")  # arg-type
runspan.Spool("spool", durability="always")  # arg-type
runspan.Spool("spool", max_bytes="1 GiB")  # arg-type
runspan.OpenTelemetryCallbackHandler(callback=[])  # call-arg
runspan.OpenTelemetryCallbackHandler(settings="none")  # arg-type
runspan.CallbackSpanProcessor([print])  # list-item
runspan.OtlpSpanProcessor(header={})  # call-arg
runspan.OtlpSpanProcessor(protocol="htp")  # arg-type
runspan.AiOnlySpanProcessor(print)  # arg-type
runspan.trace_embeddings(print)  # arg-type
runspan.replay("spans.json")  # call-arg
runspan.Spoool("spool")  # attr-defined
