// Prometheus 3.12, as docker-compose.yml has it: the module counts 0.312.
module runspan.example/prometheus

go 1.26.0

require github.com/prometheus/prometheus v0.312.0
