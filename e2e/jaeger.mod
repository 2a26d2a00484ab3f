// Jaeger 2.13. A tag v2.x can't be asked for (the module's path has no /v2), but v1.76.0 is the same commit.
module runspan.local/jaeger

go 1.26.0

require github.com/jaegertracing/jaeger v1.76.0
