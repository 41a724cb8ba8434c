/* An ordinary program: what C libraries and runtimes ask of a kernel that has nothing to hide from
 * them. Each line says what was done; the exit code is the number of things that went wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int wrong;

static void check(const char *what, int good) {
    printf("%s %s\n", what, good ? "good" : strerror(errno));
    fflush(stdout);
    wrong += !good;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int total;

static void *count(void *unused) {
    for (int i = 0; i < 10000; i++) {
        pthread_mutex_lock(&lock);
        total++;
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

static void threads(void) {
    pthread_t all[8];
    int started = 0;
    while (started < 8 && pthread_create(&all[started], NULL, count, NULL) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(all[i], NULL);
    check("threads", total == 80000);
}

static void files(void) {
    struct stat seen;
    char name[] = "/tmp/fileXXXXXX";
    int file = mkstemp(name);
    check("mkstemp", file >= 0 && write(file, "abc", 3) == 3);
    check("mkdir", mkdir("a", 0700) == 0 && mkdir("a/b", 0700) == 0);
    check("rename to another directory", rename(name, "a/b/file") == 0);
    check("symlink", symlink("a/b/file", "link") == 0 && stat("link", &seen) == 0 && seen.st_size == 3);
    check("hard link", link("a/b/file", "second") == 0 && stat("second", &seen) == 0 && seen.st_nlink == 2);
    check("truncate", ftruncate(file, 4096) == 0);
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check("shared mapping", mapped != MAP_FAILED && mapped[1] == 'b' && msync(mapped, 4096, MS_SYNC) == 0);
    FILE *temporary = tmpfile();
    check("tmpfile", temporary != NULL && fputs("x", temporary) >= 0 && fclose(temporary) == 0);
    check("/dev/null", (file = open("/dev/null", O_WRONLY)) >= 0 && write(file, "x", 1) == 1);
    check("/dev/random", (file = open("/dev/random", O_RDONLY)) >= 0 && read(file, name, 1) == 1);
    errno = 0;
    check("/dev/full", (file = open("/dev/full", O_RDWR)) >= 0 && write(file, "x", 1) < 0 && errno == ENOSPC);
    errno = 0;
    check("no such file", open("/etc/passwd", O_RDONLY) < 0 && errno == ENOENT);
    errno = 0;
    check("read-only root", open("/new", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
}

static void processes(void) {
    int ends[2], status = 0;
    char said[4] = "";
    check("pipe", pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        if (write(ends[1], "yes", 3) != 3)
            _exit(1);
        abort();
    }
    check("fork", child > 0 && read(ends[0], said, 3) == 3 && strcmp(said, "yes") == 0);
    check("wait", waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    sem_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_init(shared, 1, 0);
    if (fork() == 0) {
        sem_post(shared);
        _exit(0);
    }
    check("semaphore between processes", sem_wait(shared) == 0 && wait(NULL) > 0);
    check("named pipe", mkfifo("fifo", 0600) == 0);
    if (fork() == 0) {
        int out = open("fifo", O_WRONLY);
        _exit(write(out, "z", 1) != 1);
    }
    int in = open("fifo", O_RDONLY);
    check("through it", read(in, said, 1) == 1 && said[0] == 'z' && wait(NULL) > 0);
    child = vfork();
    if (child == 0) {
        execl("/proc/self/exe", "tool", "again", (char *)NULL);
        _exit(1);
    }
    check("exec of itself", waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 42);
}

static void itself(void) {
    char path[64] = "";
    check("own path", readlink("/proc/self/exe", path, 63) > 0 && access(path, X_OK) == 0);
}

static volatile sig_atomic_t rang;

static void ring(int signal) {
    rang = signal;
}

static void clocks(void) {
    struct timespec pause = {0, 2000000};
    struct itimerspec once = {{0, 0}, {0, 1000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_t timer;
    signal(SIGALRM, ring);
    check("timer", timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0);
    while (rang == 0)
        nanosleep(&pause, NULL);
    check("alarm", rang == SIGALRM);
    check("time", time(NULL) > 1700000000);
    check("nice", nice(1) != -1 || errno == 0);
    check("processors", sysconf(_SC_NPROCESSORS_ONLN) > 0);
}

int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "again") == 0)
        return 42;
    threads();
    files();
    processes();
    itself();
    clocks();
    return wrong;
}
