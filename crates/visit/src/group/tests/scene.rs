//! Honest members and one without rules.

use super::evil::Evil;
use super::*;

/// Host and patient, honest, and an attacker with this role in leaf 2.
pub struct Scene {
    pub people: People,
    pub groups: Vec<Group>,
    pub evil: Evil,
}

impl Scene {
    pub fn new(role: Role) -> Self {
        let people = people();
        let mut groups = people.pair();
        let evil = Evil::admitted(&mut groups, &people.world.identity(3, role));
        Self {
            people,
            groups,
            evil,
        }
    }

    /// All members refuse what the attacker committed, and follow the next honest commit.
    pub fn refused(&mut self, commit: &[u8], code: &str) {
        let evil = self.evil.identity.clone();
        assert_refused(&mut self.groups, commit, code, Some(&evil));
        self.goes_on();
    }

    /// The same for a commit whose author cannot be authenticated.
    pub fn refused_from_nobody(&mut self, commit: &[u8], code: &str) {
        assert_refused(&mut self.groups, commit, code, None);
        self.goes_on();
    }

    pub fn goes_on(&mut self) {
        let staged = self.groups[0].stage(&Changes::default(), NOW_MS).unwrap();
        self.groups[1].process(&staged.commit).unwrap();
        self.evil.follow(&staged.commit);
        self.groups[0].merge(staged).unwrap();
        assert_same_epoch(&self.groups);
    }

    /// The host tries to let somebody in.
    pub fn admission(&mut self, key_package: &[u8]) -> Result<Staged, GroupError> {
        let changes = Changes {
            add: vec![key_package.to_vec()],
            ..Changes::default()
        };
        self.groups[0].stage(&changes, NOW_MS)
    }

    /// The attacker adds somebody who shows this, and states the roles as they would be.
    pub fn adds(&mut self, key_package: &[u8], roles: &[&Identity], code: &str) {
        let mut context = self.evil.context();
        for identity in roles {
            let pass = identity.pass();
            context.roles.insert(pass.participant(), pass.role());
        }
        let (commit, _) = self.evil.commit(&[key_package], &[], &[], &context);
        self.refused(&commit, code);
    }
}
