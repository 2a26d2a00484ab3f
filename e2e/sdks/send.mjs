import { BasicTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { OTLPTraceExporter as Json } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as Proto } from "@opentelemetry/exporter-trace-otlp-proto";
const url = process.argv[2];
const provider = new BasicTracerProvider({ spanProcessors: [new Json({ url }), new Proto({ url })].map((each) => new SimpleSpanProcessor(each)) });
provider.getTracer("js").startSpan("from JavaScript").end();
await provider.shutdown();
