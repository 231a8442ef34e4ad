/* How fast libxml2 takes a document with its tree reader: docs/benchmarks.sh builds and runs it.
 * For each document it prints a line as a benchmark of Go's does, for benchstat. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

static char text[1 << 20];

static int measure(const char *name, const char *path) {
	FILE *f = fopen(path, "rb");
	if (f == NULL) {
		perror(path);
		return 1;
	}
	size_t size = fread(text, 1, sizeof text, f);
	fclose(f);

	struct timespec begun, now;
	long n = 0;
	double spent;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		xmlDocPtr d = xmlReadMemory(text, (int)size, NULL, NULL, XML_PARSE_NONET);
		if (d == NULL) {
			fprintf(stderr, "%s: not read\n", path);
			return 1;
		}
		xmlFreeDoc(d);
		n++;
		clock_gettime(CLOCK_MONOTONIC, &now);
		spent = (double)(now.tv_sec - begun.tv_sec) * 1e9 + (double)(now.tv_nsec - begun.tv_nsec);
	} while (spent < 2e8);
	printf("BenchmarkDecode/%s %ld %.0f ns/op %.2f MB/s\n", name, n, spent / n, (double)size * n / spent * 1e3);
	return 0;
}

int main(int argc, char **argv) {
	LIBXML_TEST_VERSION
	if (argc < 3 || argc % 2 == 0) {
		fprintf(stderr, "usage: libxml2 NAME FILE ...\n");
		return 2;
	}
	int failed = 0;
	for (int i = 1; i < argc; i += 2)
		failed |= measure(argv[i], argv[i + 1]);
	xmlCleanupParser();
	return failed;
}
