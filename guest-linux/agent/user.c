#include "user.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool number(const char *text, uint32_t *value) {
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long parsed = strtoul(text, &end, 10);
    *value = (uint32_t)parsed;
    return *end == 0 && parsed < UINT32_MAX; // the last one means "unchanged" to the kernel
}

// Numbers that stand in no file are users as well: of no group but their own number's, at home in the root directory.
static bool find_user(struct account *account, const char *text) {
    uint32_t wanted;
    bool by_number = number(text, &wanted);
    bool found = false;
    FILE *file = fopen("/etc/passwd", "re");
    if (file) {
        for (struct passwd *entry; !found && (entry = fgetpwent(file));) {
            if (by_number ? entry->pw_uid != wanted : strcmp(entry->pw_name, text) != 0)
                continue;
            found = true;
            account->user.uid = entry->pw_uid;
            account->user.gid = entry->pw_gid;
            snprintf(account->name, sizeof account->name, "%s", entry->pw_name);
            snprintf(account->home, sizeof account->home, "%s", entry->pw_dir);
        }
        fclose(file);
    }
    if (!found && by_number) {
        found = true;
        account->user.uid = account->user.gid = wanted;
        snprintf(account->name, sizeof account->name, "%.63s", text);
        snprintf(account->home, sizeof account->home, "/");
    }
    return found;
}

static void add_group(struct user *user, gid_t group) {
    for (size_t i = 0; i < user->groups; i++)
        if (user->group[i] == group)
            return;
    if (user->groups < MAX_GROUPS)
        user->group[user->groups++] = group;
}

static bool find_group(struct user *user, const char *text) {
    uint32_t wanted;
    bool found = number(text, &wanted);
    if (found)
        user->gid = wanted;
    FILE *file = found ? NULL : fopen("/etc/group", "re");
    if (file) {
        for (struct group *entry; !found && (entry = fgetgrent(file));) {
            found = strcmp(entry->gr_name, text) == 0;
            if (found)
                user->gid = entry->gr_gid;
        }
        fclose(file);
    }
    return found;
}

static void add_memberships(struct account *account) {
    FILE *file = fopen("/etc/group", "re");
    if (!file)
        return;
    for (struct group *entry; (entry = fgetgrent(file));)
        for (char **member = entry->gr_mem; *member; member++)
            if (strcmp(*member, account->name) == 0)
                add_group(&account->user, entry->gr_gid);
    fclose(file);
}

const char *user_find(struct account *account, const char *text) {
    char name[256];
    snprintf(name, sizeof name, "%s", text);
    char *group = strchr(name, ':');
    if (group)
        *group++ = 0;
    *account = (struct account){.user.given = true};
    if (!find_user(account, name))
        return "no such user";
    if (group && !find_group(&account->user, group))
        return "no such group";
    add_group(&account->user, account->user.gid);
    if (!group)
        add_memberships(account);
    return NULL;
}
