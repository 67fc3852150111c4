// NOT TESTED: a recipe for an AAR, written from the documentation of its tools. Nothing in this
// repository runs it. See README.md in this folder.
plugins {
    id("com.android.library") version "8.7.0"
    id("org.jetbrains.kotlin.android") version "2.4.20"
    `maven-publish`
}

group = "org.presence"
version = "0.1.0"

android {
    namespace = "org.presence.client"
    compileSdk = 35
    defaultConfig {
        // Below 26, an app needs desugaring for `java.time`.
        minSdk = 24
        consumerProguardFiles("consumer-rules.pro")
    }
    compileOptions {
        isCoreLibraryDesugaringEnabled = true
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    kotlinOptions { jvmTarget = "17" }
    sourceSets["main"].apply {
        manifest.srcFile("src/main/AndroidManifest.xml")
        kotlin.srcDirs("src/main/kotlin", "../src/main/kotlin", "../../../target/kotlin/android")
        jniLibs.srcDirs("../../../target/kotlin/jniLibs")
    }
    publishing { singleVariant("release") { withSourcesJar() } }
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.11.0")
    implementation("net.java.dev.jna:jna:5.19.1@aar")
    implementation("androidx.annotation:annotation:1.9.1")
    implementation("androidx.lifecycle:lifecycle-process:2.8.7")
    coreLibraryDesugaring("com.android.tools:desugar_jdk_libs:2.1.5")
}

// cargo install cargo-ndk; rustup target add aarch64-linux-android armv7-linux-androideabi
// x86_64-linux-android
val buildRust by tasks.registering(Exec::class) {
    workingDir("../../..")
    commandLine(
        "cargo", "ndk", "--platform", "24",
        "-t", "arm64-v8a", "-t", "armeabi-v7a", "-t", "x86_64",
        "-o", "target/kotlin/jniLibs",
        "build", "--locked", "--profile", "mobile", "--package", "presence-bindings",
    )
    // For phones with memory pages of 16 KiB.
    environment("RUSTFLAGS", "-C link-arg=-Wl,-z,max-page-size=16384")
}
tasks.named("preBuild") { dependsOn(buildRust) }

publishing {
    publications {
        register<MavenPublication>("release") {
            artifactId = "presence-client-android"
            pom {
                name = "Presence client for Android"
                description = "The client SDK of the Presence service for Kotlin on Android."
                // A release also sets `url` and `scm`, as in ../pom.xml.
                licenses {
                    license { name = "MIT"; url = "https://opensource.org/license/mit" }
                    license { name = "Apache-2.0"; url = "https://www.apache.org/licenses/LICENSE-2.0" }
                }
                developers { developer { name = "The developers of Presence" } }
            }
            afterEvaluate { from(components["release"]) }
        }
    }
}
