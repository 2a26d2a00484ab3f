package main

import (
	"context"
	"os"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	ctx := context.Background()
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(os.Args[1]), otlptracegrpc.WithInsecure())
	if err != nil {
		panic(err)
	}
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter))
	_, span := provider.Tracer("go").Start(ctx, "from Go")
	span.End()
	if err := provider.Shutdown(ctx); err != nil {
		panic(err)
	}
}
