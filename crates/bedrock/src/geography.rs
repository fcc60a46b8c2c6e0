//! Where a call is processed: the geographies that inference profiles route within, and their Regions.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{BedrockModel, Catalogue};

#[derive(Clone, Debug)]
pub(crate) struct Geography {
    /// Whether profile ids start with its name.
    pub(crate) profile: bool,
    /// Its Regions; `*` is every Region.
    pub(crate) regions: Vec<String>,
}

impl Geography {
    fn is_everywhere(&self) -> bool {
        self.regions.iter().any(|region| region == "*")
    }
}

impl Catalogue {
    /// The geography in which a call to `model` through `region` is processed: the profile's own (`global` is
    /// everywhere), or for a call without a profile the smallest one that holds the Region. `None` where that is not
    /// known; a residency rule should then refuse.
    ///
    /// ```
    /// use sluicegate_bedrock::Catalogue;
    ///
    /// let catalogue = Catalogue::builtin();
    /// let geography = |id, region| catalogue.geography(&catalogue.model(id), region);
    /// assert_eq!(geography("us.amazon.nova-lite-v1:0", "us-east-1"), Some("us"));
    /// assert_eq!(geography("global.amazon.nova-2-lite-v1:0", "eu-west-1"), Some("global"));
    /// assert_eq!(geography("amazon.nova-lite-v1:0", "eu-west-1"), Some("eu"));
    /// assert_eq!(geography("arn:aws:bedrock:us-east-1:1:application-inference-profile/a", "us-east-1"), None);
    /// ```
    #[must_use]
    pub fn geography(&self, model: &BedrockModel, region: &str) -> Option<&str> {
        use crate::ModelForm::{ApplicationProfile, Foundation, Other, Profile, Provisioned};
        match model.form() {
            Profile => self.geography_named(model.prefix()?).map(|(name, _)| name.as_str()),
            Foundation | Provisioned => self.geography_of_region(region),
            ApplicationProfile | Other => None,
        }
    }

    /// The smallest geography that lists `region`, the first by name among equals. `global` lists none, so it is never
    /// the answer; `None` is a Region that the tables do not know.
    #[must_use]
    pub fn geography_of_region(&self, region: &str) -> Option<&str> {
        self.geographies()
            .iter()
            .filter(|(_, geography)| geography.regions.iter().any(|name| name == region))
            .min_by_key(|(_, geography)| geography.regions.len())
            .map(|(name, _)| name.as_str())
    }

    /// Whether every Region of geography `inner` is one of geography `outer`, so that a call kept in `inner` is also
    /// kept in `outer`. `false` where either is unknown.
    ///
    /// ```
    /// use sluicegate_bedrock::Catalogue;
    ///
    /// let catalogue = Catalogue::builtin();
    /// assert!(catalogue.within("jp", "apac"));
    /// assert!(catalogue.within("eu", "global"));
    /// assert!(!catalogue.within("global", "eu"));
    /// ```
    #[must_use]
    pub fn within(&self, inner: &str, outer: &str) -> bool {
        let (Some((_, inner)), Some((_, outer))) = (self.geography_named(inner), self.geography_named(outer)) else {
            return false;
        };
        outer.is_everywhere()
            || (!inner.is_everywhere() && inner.regions.iter().all(|region| outer.regions.contains(region)))
    }

    /// The Regions of a geography: where its profiles may process a call. Empty for an unknown one, and for `global`,
    /// which has no end.
    ///
    /// A geography is what AWS routes by and not a jurisdiction: `eu` holds London and Zurich, `apac` the United Arab
    /// Emirates.
    pub fn regions(&self, geography: &str) -> impl Iterator<Item = &str> {
        let regions = self.geography_named(geography).map_or(&[][..], |(_, geography)| &geography.regions);
        regions.iter().map(String::as_str).filter(|region| *region != "*")
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::Catalogue;

    #[test]
    fn regions_find_their_smallest_geography() {
        let catalogue = Catalogue::builtin();
        for (region, geography) in [
            ("us-east-1", Some("us")),
            ("ap-northeast-1", Some("jp")),
            ("ap-southeast-2", Some("au")),
            ("ap-south-1", Some("apac")),
            ("me-central-1", Some("me")),
            ("ca-central-1", Some("ca")),
            ("eu-west-2", Some("eu")),
            ("us-gov-west-1", Some("us-gov")),
            ("moon-1", None),
        ] {
            assert_eq!(catalogue.geography_of_region(region), geography, "{region}");
        }
        assert!(catalogue.within("me", "global"));
        assert!(!catalogue.within("me", "apac"), "Bahrain is in no Asia-Pacific profile");
        assert!(!catalogue.within("nowhere", "global"));
        assert_eq!(catalogue.regions("jp").collect::<Vec<_>>(), ["ap-northeast-1", "ap-northeast-3"]);
        assert_eq!(catalogue.regions("global").count(), 0);
    }

    #[test]
    fn a_call_through_another_geographys_profile_is_processed_there() {
        let catalogue = Catalogue::builtin();
        let model = catalogue.model("us.anthropic.claude-sonnet-4-6");
        assert_eq!(catalogue.geography(&model, "ca-central-1"), Some("us"));
        let unknown = catalogue.model("kr.anthropic.claude-sonnet-5");
        assert_eq!(catalogue.geography(&unknown, "ap-northeast-2"), None);
        assert_eq!(catalogue.regions("kr").count(), 0);
    }
}
